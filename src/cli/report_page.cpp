// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "cli/report_data.hpp"

namespace clsink {

extern const std::string_view k_report_html;
extern const std::string_view k_report_css;
extern const std::string_view k_plots_js;
extern const std::string_view k_tuning_js;
extern const std::string_view k_bench_js;
extern const std::string_view k_report_js;

namespace cli {
namespace {

std::string filled(const std::string& page, std::string_view place, std::string_view text) {
  const std::size_t at = page.find(place);
  return page.substr(0, at).append(text).append(page, at + place.size(), std::string::npos);
}

// JSON that may stand in a <script>: nothing in it can end the element or begin a comment.
std::string script_text(const nlohmann::json& document) {
  std::string text;
  for (const char c : document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

std::string report_page(const nlohmann::json& document) {
  std::string page(k_report_html);
  page = filled(page, "/*style*/", k_report_css);
  page = filled(page, "/*plots*/", k_plots_js);
  page = filled(page, "/*tuning*/", k_tuning_js);
  page = filled(page, "/*bench*/", k_bench_js);
  page = filled(page, "/*report*/", k_report_js);
  return filled(page, "/*document*/", script_text(document));  // last: nothing is looked for in text from the inputs
}

}  // namespace cli
}  // namespace clsink
