// SPDX-License-Identifier: Apache-2.0
// Where tensors may lie: sub-buffers, byte offsets, several layouts of the same values.
#include "environment.hpp"

namespace clsink::harness {
namespace {

// A sub-buffer that begins where the view points, and a view of it.
class SubBuffer {
 public:
  explicit SubBuffer(BufferView& view) {
    std::size_t size = 0;
    EXPECT_EQ(clGetMemObjectInfo(view.memory, CL_MEM_SIZE, sizeof size, &size, nullptr), CL_SUCCESS);
    const cl_buffer_region region{view.offset_bytes, size - view.offset_bytes};
    cl_int code = CL_SUCCESS;
    memory_ = cl::Buffer(clCreateSubBuffer(view.memory, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code));
    EXPECT_EQ(code, CL_SUCCESS);
    view = {memory_(), 0};
  }

 private:
  cl::Buffer memory_;
};

TEST(Memory, SubBuffers) {
  for (const char* text :
       {"f16/f16/f32 hq=8 hkv=2 d=64 b=3 kv=700 route=mean near=1,16 @ lens=700,0,65 seed=2 data=sink offset=4096",
        "f16/f16/f32 hq=8 hkv=2 d=64 b=3 kv=700 page=7 route=mean near=1,16 @ lens=700,0,65 seed=2 data=sink "
        "offset=4096"}) {
    Fixture fixture(parse_case(text));
    DecodeBuffers& buffers = fixture.on_device.buffers;
    const SubBuffer q(buffers.q), k(buffers.k), v(buffers.v), out(buffers.out), workspace(buffers.workspace), lse(buffers.lse);
    cl::CommandQueue queue = test_device().queue();
    EXPECT_TRUE(fixture.good(fixture.run(queue))) << text;
  }
}

TEST(Memory, OffsetsOfEverything) {
  for (const char* layout : {"", " page=7"}) {
    for (const char* route : {" route=mean near=1,16", " route=mask near=1,16"}) {
      Case c = parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=3 kv=700" + std::string(layout) + route +
                          " @ lens=700,0,65 seed=2 data=sink offset=16 anchors=1 tau_offsets=1");
      EXPECT_TRUE(passes(c));
      c.offset_bytes = 1008;
      EXPECT_TRUE(passes(c));
    }
  }
}

TEST(Memory, EveryLayoutGivesTheSameAnswer) {
  cl::CommandQueue queue = test_device().queue();
  const std::string head = "f16/f16/f32 hq=8 hkv=2 d=64 b=3 kv=500";
  const std::string tail = " @ lens=500,0,33 seed=2 data=random";
  std::vector<float> first;
  for (const std::string& layout :
       {std::string(), std::string(" page=1"), std::string(" page=7 table_stride=90"), std::string(" page=1000"),
        std::string(" k_strides=64,32000,64000 v_strides=128,64,64000"), std::string(" q_strides=72,584 out_strides=80,672")}) {
    const Case c = parse_case(head + layout + tail);
    Fixture fixture(c);
    const Readback got = fixture.run(queue);
    EXPECT_TRUE(fixture.good(got));
    if (first.empty()) first = got.out;
    ASSERT_EQ(first.size(), got.out.size());
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(got.out[i], first[i], 1e-6) << to_string(c);
  }
}

TEST(Memory, FewerSequencesThanTheBoundAndNone) {
  cl::CommandQueue queue = test_device().queue();
  Fixture fixture(parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=8 kv=700 route=mean near=1,16 @ lens=300,20 seed=2 data=sink"));
  EXPECT_TRUE(fixture.good(fixture.run(queue)));
  fixture.on_device.step.batch = 0;
  const Readback untouched = fixture.run(queue);
  EXPECT_TRUE(untouched.damage.empty());
  fixture.on_device.step.batch = 2;
  EXPECT_NE(untouched.out, fixture.run(queue).out);
}

}  // namespace
}  // namespace clsink::harness
