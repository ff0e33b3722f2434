// SPDX-License-Identifier: Apache-2.0
// From the structs of clsink.h, whatever version of them the caller was compiled with, to the C++ API and back.
// Everything here throws Error; clsink_c.cpp is where exceptions stop.
#pragma once

#include <clsink/clsink.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>

#include <clsink/clsink.hpp>

namespace clsink::c_api {

template <typename T>
T& required(T* pointer, const char* name, ErrorCode code) {
  if (pointer == nullptr) throw Error(code, std::string(name) + " is null");
  return *pointer;
}

/// Defaults of a C struct with this library's size.
template <typename Struct>
Struct defaults() {
  static_assert(std::is_trivially_copyable_v<Struct>);
  Struct value{};
  value.struct_size = sizeof(Struct);
  return value;
}
template <>
clsink_problem defaults();
template <>
clsink_step defaults();
template <>
clsink_context_options defaults();

/// As much of `ours` as a struct of `size` bytes holds; what only a newer caller knows becomes zero.
template <typename Struct>
void copy_out(const Struct& ours, Struct* theirs, std::size_t size) noexcept {
  auto* bytes = reinterpret_cast<unsigned char*>(theirs);
  std::memcpy(bytes, &ours, std::min(size, sizeof(Struct)));
  if (size > sizeof(Struct)) std::memset(bytes + sizeof(Struct), 0, size - sizeof(Struct));
  if (size >= sizeof(std::size_t)) theirs->struct_size = size;
}

/// The size that the caller was compiled with: whole words, so that no field is cut in two.
template <typename Struct>
std::size_t checked_size(const Struct& theirs, const char* name, ErrorCode code) {
  const std::size_t size = theirs.struct_size;
  if (size < sizeof(std::size_t) || size % alignof(Struct) != 0) {
    throw Error(code, std::string(name) + ".struct_size=" + std::to_string(size) + " is no size of this struct; call " + name +
                          "_init first");
  }
  return size;
}

template <typename Struct>
void write_struct(const Struct& ours, Struct* theirs, const char* name) {
  const ErrorCode code = ErrorCode::kInvalidBuffer;
  copy_out(ours, theirs, checked_size(required(theirs, name, code), name, code));
}

/// The caller's struct over this library's defaults: an older, shorter one leaves the rest at its default; a newer,
/// longer one may not ask for anything that this library does not know.
template <typename Struct>
Struct read_struct(const Struct* theirs, const char* name, ErrorCode code) {
  const std::size_t size = checked_size(required(theirs, name, code), name, code);
  const auto* bytes = reinterpret_cast<const unsigned char*>(theirs);
  for (std::size_t i = sizeof(Struct); i < size; ++i) {
    if (bytes[i] != 0) {
      throw Error(code, std::string(name) + ".struct_size=" + std::to_string(size) + ": byte " + std::to_string(i) +
                            " is set, but clsink " + version() + " knows only " + std::to_string(sizeof(Struct)));
    }
  }
  Struct ours = defaults<Struct>();
  std::memcpy(&ours, theirs, std::min(size, sizeof(Struct)));
  ours.struct_size = sizeof(Struct);
  return ours;
}

DecodeProblem problem_of(const clsink_problem* given);
clsink_problem c_problem_of(const DecodeProblem& problem);
DecodeBuffers buffers_of(const clsink_buffers* given);
DecodeStep step_of(const clsink_step* given);
ContextOptions context_options_of(const clsink_context_options* given);
clsink_device_facts c_facts_of(const DeviceFacts& device);

}  // namespace clsink::c_api
