// SPDX-License-Identifier: Apache-2.0
// clsink: decode attention on any OpenCL device, that knows when not to read the KV cache. Includes everything.
#pragma once

#include <clsink/context.hpp>
#include <clsink/device.hpp>
#include <clsink/error.hpp>
#include <clsink/plan.hpp>
#include <clsink/problem.hpp>
#include <clsink/types.hpp>
#include <clsink/version.hpp>
