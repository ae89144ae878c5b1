#include "perf/gen/device/rig.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "perf/gen/device/live_watch.h"
#include "perf/gen/device/sampler.h"
#include "perf/gen/device/thread.h"
#include "perf/gen/device/virtio_socket.h"

namespace millrace::perf::gen {
namespace {

constexpr std::uint32_t kPacketsEachPort = 4096, kPacketsMore = 4096;
constexpr double kGraceShare = 0.005, kMostGraceSeconds = 0.005;
constexpr std::uint64_t kLeadNs = 2'000'000;  // until all threads run

net::Result<void> check(const RigOptions& options) {
  if (options.ports.empty() || options.ports.size() > kMaxPorts) {
    return net::invalid_argument(fmt::format("--port: {} ports; 1 to {}", options.ports.size(), kMaxPorts));
  }
  for (const unsigned port : options.echo) {
    if (port >= options.ports.size()) {
      return net::invalid_argument(fmt::format("--echo {}: ports are 0 to {}", port, options.ports.size() - 1));
    }
  }
  for (const int cpu : options.cpus) {
    const auto cpus = static_cast<int>(std::thread::hardware_concurrency());
    if (cpu < 0 || cpu >= cpus) return net::invalid_argument(fmt::format("--cpu {}: 0 to {}", cpu, cpus - 1));
  }
  return {};
}

}  // namespace

struct Rig::Run {
  std::vector<std::vector<EngineStream>> streams;  // of each thread
  std::vector<std::unique_ptr<Engine>> engines;
  std::vector<Schedule> schedules;  // of each stream, as they were at the start
  std::vector<std::uint64_t> waited_ns;
  std::uint64_t start_ns = 0, end_ns = 0;
  std::vector<Sample> samples;
  std::mutex mutex;
  std::condition_variable ended;
  std::size_t running = 0;
};

std::size_t Rig::thread_count() const noexcept {
  return std::clamp<std::size_t>(options_.cpus.size(), 1, options_.ports.size());
}

net::Result<std::unique_ptr<Rig>> Rig::open(const RigOptions& options) {
  if (auto checked = check(options); !checked) return checked.error();
  std::unique_ptr<Rig> rig(new Rig(options));
  const datapath::io::MbufPoolOptions pool_options{
      .count = kPacketsEachPort * static_cast<std::uint32_t>(options.ports.size()) + kPacketsMore,
      .data_room_bytes = std::clamp(options.frame_bytes + 64, 1600u, datapath::io::kMaxDataRoomBytes)};
  datapath::io::EalOptions eal{.memory_bytes = datapath::io::MbufPool::memory_bytes(pool_options) + (64ull << 20)};
  if (!options.hugepages) eal.hugepages = datapath::io::HugepageChoice::kOff;
  eal.one_file = true;
  for (const std::string& port : options.ports) {
    if (datapath::io::is_pci_device(port)) eal.pci_device = port;
  }
  const auto info = datapath::io::start_eal(eal);
  if (!info) return info.error();
  rig->memory_ = info->memory;
  auto pool = datapath::io::MbufPool::create(pool_options);
  if (!pool) return pool.error();
  rig->pool_ = *std::move(pool);
  if (auto opened = rig->open_devices(); !opened) return opened.error();
  return rig;
}

net::Result<void> Rig::open_devices() {
  for (const std::string& name : options_.ports) {
    if (auto checked = prepare_virtio_socket(name); !checked) return checked.error();
    auto device = datapath::io::DpdkDevice::open(
        *pool_,
        {.device = name, .queues = 1, .rx_descriptors = options_.descriptors, .tx_descriptors = options_.descriptors});
    if (!device) return device.error();
    queues_.push_back((*device)->queue(0));
  }
  return {};
}

Rig::~Rig() {
  queues_.clear();
  const bool started = pool_ != nullptr;
  pool_.reset();
  if (started) datapath::io::stop_eal();
}

net::Result<const RecordedFrames*> Rig::recorded(const std::string& file) {
  for (const auto& [name, frames] : recordings_) {
    if (name == file) return frames.get();
  }
  auto loaded = RecordedFrames::load(file);
  if (!loaded) return loaded.error();
  if (loaded->most_bytes() > pool_->data_room_bytes()) {
    return net::invalid_argument(fmt::format("replay {}: a frame of {} bytes; --frame-bytes says how much may come",
                                             file, loaded->most_bytes()));
  }
  recordings_.emplace_back(file, std::make_unique<RecordedFrames>(*std::move(loaded)));
  return recordings_.back().second.get();
}

net::Result<void> Rig::add_streams(Run& run, const std::vector<StreamDescription>& streams,
                                   const TrialOptions& options) {
  run.streams.resize(thread_count());
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const StreamDescription& stream = streams[i];
    if (stream.port >= queues_.size()) {
      return net::invalid_argument(
          fmt::format("stream {}: port {}: ports are 0 to {}", stream.name, stream.port, queues_.size() - 1));
    }
    const double pps = packets_per_second(stream, options.link_bps);
    EngineStream made{.source = nullptr,
                      .schedule = Schedule(pps, stream.burst, run.start_ns, options.packets),
                      .number = static_cast<std::uint8_t>(i),
                      .port = stream.port / thread_count()};
    if (!stream.replay.empty()) {
      const auto frames = recorded(stream.replay);
      if (!frames) return frames.error();
      made.source = std::make_unique<RecordedSource>(**frames);
      made.tagged = false;
      if (pps == 0) made.schedule = Schedule((*frames)->recording(), run.start_ns, options.packets);
    } else {
      auto compiled = Stream::compile(stream);
      if (!compiled) return compiled.error();
      if (compiled->frame_bytes_most() > pool_->data_room_bytes()) {
        return net::invalid_argument(fmt::format("stream {}: frames of {} bytes; packets hold {}", stream.name,
                                                 compiled->frame_bytes_most(), pool_->data_room_bytes()));
      }
      made.source = std::make_unique<StreamSource>(*std::move(compiled));
    }
    run.schedules.push_back(made.schedule);
    run.streams[stream.port % thread_count()].push_back(std::move(made));
  }
  return {};
}

net::Result<TrialResult> Rig::run(const std::vector<StreamDescription>& streams, const TrialOptions& options) {
  if (stop_.load()) return net::unavailable("the run was stopped");
  Run run;
  if (auto added = add_streams(run, streams, options); !added) return added.error();
  const std::size_t threads = thread_count();
  run.start_ns = clock_.now_ns() + kLeadNs;
  run.end_ns = run.start_ns + static_cast<std::uint64_t>(options.seconds * 1e9);
  for (Schedule& schedule : run.schedules) schedule.start_at(run.start_ns);
  TrialState trial(static_cast<unsigned>(threads));
  EngineOptions engine{
      .epoch = ++epoch_,
      .stream_count = streams.size(),
      .end_ns = run.end_ns,
      .drain_ns = static_cast<std::uint64_t>(options.drain_seconds * 1e9),
      .grace_ns = static_cast<std::uint64_t>(std::min(options.seconds * kGraceShare, kMostGraceSeconds) * 1e9),
      .verify_headers = options_.verify_headers,
      .timeline = std::nullopt,
      .trial = &trial};
  if (options.step_seconds > 0) {
    engine.timeline.emplace(run.start_ns, run.end_ns, static_cast<std::uint64_t>(options.step_seconds * 1e9));
  }
  for (std::size_t thread = 0; thread < threads; ++thread) {
    std::vector<EnginePort> ports;
    for (std::size_t port = thread; port < queues_.size(); port += threads) {
      const bool echo = std::ranges::find(options_.echo, port) != options_.echo.end();
      ports.push_back({.port = queues_[port].get(), .echo = echo});
    }
    for (EngineStream& stream : run.streams[thread]) stream.schedule.start_at(run.start_ns);
    run.engines.push_back(
        std::make_unique<Engine>(*pool_, clock_, std::move(ports), std::move(run.streams[thread]), engine));
  }
  run.waited_ns.resize(threads);
  run.running = threads;
  std::vector<std::thread> workers;
  for (std::size_t thread = 0; thread < threads; ++thread) {
    workers.emplace_back([this, &run, thread] {
      if (thread < options_.cpus.size()) pin(options_.cpus[thread]);
      const datapath::io::EalThread eal;
      const std::uint64_t before = waited_ns();
      run.engines[thread]->run(stop_);
      run.waited_ns[thread] = waited_ns() - before;
      const std::lock_guard lock(run.mutex);
      --run.running;
      run.ended.notify_one();
    });
  }
  watch(run, options.companion);
  for (std::thread& worker : workers) worker.join();
  if (options.companion != nullptr) options.companion->end();
  return collect(run, streams);
}

void Rig::watch(Run& run, TrialCompanion* companion) {
  const double of_seconds = static_cast<double>(run.end_ns - run.start_ns) / 1e9;
  if (companion != nullptr) {
    const auto since_start = [this, start_ns = run.start_ns] {
      return (static_cast<double>(clock_.now_ns()) - static_cast<double>(start_ns)) / 1e9;
    };
    companion->begin(since_start, of_seconds);
  }
  std::vector<Progress*> progress;
  std::vector<Engine*> engines;
  for (const auto& engine : run.engines) {
    progress.push_back(&engine->progress());
    engines.push_back(engine.get());
  }
  Sampler sampler(progress);
  LiveWatch live(std::move(engines));
  const auto interval = std::chrono::duration<double>(options_.interval_seconds);
  auto before = std::chrono::steady_clock::now();
  const auto start = before;
  std::unique_lock lock(run.mutex);
  while (!run.ended.wait_for(lock, interval, [&] { return run.running == 0; })) {
    const auto now = std::chrono::steady_clock::now();
    const double end = std::chrono::duration<double>(now - start).count();
    if (clock_.now_ns() > run.end_ns) continue;  // the drain is no part of the picture
    run.samples.push_back(sampler.take(end, std::chrono::duration<double>(now - before).count()));
    before = now;
    if (!callback_) continue;
    lock.unlock();  // the engines end when they end
    if (auto sample = live.look()) {
      sample->of_seconds = of_seconds;
      callback_(*sample);
    }
    lock.lock();
  }
}

TrialResult Rig::collect(Run& run, const std::vector<StreamDescription>& streams) {
  TrialResult result;
  std::uint64_t idle = 0, busy = 0, waited = 0, ended_ns = run.start_ns;
  for (const auto& engine : run.engines) ended_ns = std::max(ended_ns, engine->ended_ns());
  result.ports.resize(queues_.size());
  for (std::size_t i = 0; i < streams.size(); ++i) {
    StreamResult stream;
    stream.name = streams[i].name;
    for (const auto& engine : run.engines) engine->add_result(static_cast<std::uint8_t>(i), stream);
    if (stream.timeline) count_due(*stream.timeline, run.schedules[i], run.start_ns, ended_ns);
    result.streams.push_back(std::move(stream));
  }
  for (std::size_t thread = 0; thread < run.engines.size(); ++thread) {
    const Engine& engine = *run.engines[thread];
    for (std::size_t port = thread; port < queues_.size(); port += run.engines.size()) {
      result.ports[port] = engine.port_result(port / run.engines.size());
    }
    idle += engine.idle_ns();
    busy += engine.busy_ns();
    waited += run.waited_ns[thread];
  }
  result.seconds = static_cast<double>(ended_ns - run.start_ns) / 1e9;
  const double all = static_cast<double>(idle + busy);
  result.idle = all > 0 ? static_cast<double>(idle) / all : 0;
  result.taken = all > 0 ? static_cast<double>(waited) / all : 0;
  result.samples = run.samples;
  return result;
}

}  // namespace millrace::perf::gen
