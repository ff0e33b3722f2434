// SPDX-License-Identifier: Apache-2.0
// A small case whose plan needs a program for each of its stages.
#pragma once

#include "environment.hpp"
#include "model/problem.hpp"

namespace clsink::harness {

inline const Case& many_programs() {
  static const Case made = [] {
    Case c = parse_case("f16/f16/f32 hq=4 hkv=2 d=32 b=3 kv=300 route=mean near=1,16 @ lens=300,0,64 data=sink seed=8");
    DecodeVariant variant = test_context().plan(c.problem).variant;
    variant.schedule = Schedule::kWorklist;
    variant.fusion = Fusion::kNone;
    c.variant = variant;
    return c;
  }();
  return made;
}

}  // namespace clsink::harness
