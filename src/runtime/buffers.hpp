// SPDX-License-Identifier: Apache-2.0
// One step's buffers and values: everything the host can check, and the kernels' argument struct made from them.
#pragma once

#include <clsink/context.hpp>

#include "cl_kernels/decode_args.h"

namespace clsink {

/// Throws Error(kInvalidBuffer) naming the field and the value: step values out of range, null, foreign, too small or
/// misaligned buffers, buffers that the problem needs and lacks or does not know.
/// Returns the arguments, pages of the cache counted from the buffers' sizes.
decode_args check_and_describe(cl_context context, const DecodePlan& plan, const DecodeBuffers& buffers,
                               const DecodeStep& step);

/// Arguments that depend on the plan alone, of a step without sequences.
decode_args describe_plan(const DecodePlan& plan);

}  // namespace clsink
