// SPDX-License-Identifier: Apache-2.0
// What the demo says: tables for people, the same figures as JSON, and one line for newcomers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <clsink/device.hpp>

#include "routing_study.hpp"
#include "time_study.hpp"

namespace clsink::demo {

void print_header(const DeviceFacts& device, const harness::Trace& trace);
void print_routing(const std::vector<LayerFigures>& layers);
void print_times(const std::vector<TimeRow>& rows, const std::vector<LayerFigures>& layers);
/// The line to remember, made of the figures.
std::string conclusion(const std::vector<LayerFigures>& layers, const std::vector<TimeRow>& rows);

nlohmann::json to_json(const DeviceFacts& device, const harness::Trace& trace, const std::vector<LayerFigures>& layers,
                       const std::vector<TimeRow>& rows);

}  // namespace clsink::demo
