// SPDX-License-Identifier: Apache-2.0
// One cell of a sweep: a problem, every candidate that fits the device, and which of them is the fastest. Candidates are
// built, verified and timed in turns; losers leave early. No file and no console: an observer is told what happens.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <clsink/context.hpp>

#include "harness/opencl_device.hpp"
#include "harness/read_bandwidth.hpp"
#include "harness/timing.hpp"
#include "tuning/rejection.hpp"

namespace clsink::tuning {

struct Candidate {
  DecodeVariant variant;
  LaunchTuning launch;
  friend bool operator==(const Candidate& a, const Candidate& b) { return a.variant == b.variant && a.launch == b.launch; }
  friend bool operator!=(const Candidate& a, const Candidate& b) { return !(a == b); }
};

/// Medians that are nearer than this are equal.
constexpr double kLeastNoisePercent = 1;

/// A candidate's first run.
struct FirstRun {
  double prepare_s = 0;  ///< compiling and first launches
  double verify_s = 0;
  double error = 0;  ///< ||out - reference|| / ||reference||
  double us = 0;     ///< the first sample
};

struct Measured {
  Candidate candidate;
  harness::Summary us;  ///< of the clock that counts on the device
  double error = 0;
};

struct CellResult {
  DecodeProblem problem;
  double routed = 0;  ///< share of the kv heads that are routed
  std::int64_t bytes = 0;
  int rounds = 0;
  int candidates = 0;  ///< that were run
  double seconds = 0;
  Measured untuned;  ///< what a device gets that nobody has tuned
  Measured planned;  ///< what this device gets now
  Measured best;     ///< `planned`, unless another one is faster beyond the noise
  double gain = 1;   ///< how many times longer `untuned` takes than `best`; median over the rounds
  double gain_over_planned = 1;
  double read_us = 0;     ///< of a kernel that only reads the same bytes
  bool complete = false;  ///< false: stopped before the candidates were compared
};

/// Told what happens, in the order in which it does; ignores it by default.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void begins(const Candidate&) {}
  virtual void ran(const Candidate&, const FirstRun&) {}
  virtual void sampled(const Candidate&, int /*round*/, double /*us*/) {}
  virtual void rejected(const Candidate&, Rejection, const std::string& /*reason*/) {}
  /// The device does nothing any more after the candidate that began last; only another process may go on.
  virtual void device_lost(const std::string& /*reason*/) {}
  /// How far the cell is, 0 to 1, and what is being done.
  virtual void progress(double /*done*/, const std::string& /*doing*/) {}
  /// Asked between samples: end early with what there is.
  virtual bool stop() { return false; }
};

struct CellOptions {
  double seconds = 30;
  /// Tried first, in this order: winners of other cells.
  std::vector<Candidate> likely;
  /// Whether an earlier run of the sweep has thrown the candidate out.
  std::function<bool(const Candidate&)> known_bad;
};

/// Half of the kv heads are routed if the problem routes. Candidates are judged by medians of interleaved rounds, over caches
/// that take turns (harness/bench_data.hpp). Throws Error if the problem cannot run here, if what the device gets for it now
/// is wrong or known to be bad, or if a candidate has left a device that answers no more.
CellResult tune_cell(Context& context, const harness::OpenClDevice& opencl, harness::ReadBandwidth& read,
                     const DecodeProblem& problem, const CellOptions& options, Observer& observer);

}  // namespace clsink::tuning
