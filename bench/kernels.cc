// The inner loops of generator and AttFind, each compared with the plain operators that it replaces
// (Google Benchmark). Arguments: channels in and out, side of the input. One thread.
#include <benchmark/benchmark.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <array>
#include <vector>

#include "models/cpu/synthesis_kernels.h"
#include "models/networks/layers.h"

namespace stylex {
namespace {

constexpr int64_t kBatch = 32;

torch::Tensor RandomActivations(int64_t batch, int64_t channels, int64_t side) {
  return torch::randn({batch, channels, side, side}).contiguous(torch::MemoryFormat::ChannelsLast);
}

// Operations per second, two for each multiply-add.
void CountMultiplyAdds(benchmark::State& state, double each) {
  state.counters["FLOP/s"] = benchmark::Counter(2 * each * static_cast<double>(state.iterations()),
                                                benchmark::Counter::kIsRate);
}

double ConvolutionOf(int64_t channels, int64_t side) {
  return 9.0 * static_cast<double>(channels * channels) * static_cast<double>(side * side);
}

// Cost per image in a batch of every layer above a moved one, with styles folded into the weights.
void FoldedConvolution(benchmark::State& state) {
  const torch::NoGradGuard no_grad;
  const int64_t channels = state.range(0), side = state.range(1);
  const torch::Tensor x = RandomActivations(kBatch, channels, side);
  const torch::Tensor weight =
      torch::randn({channels, channels, 3, 3}).contiguous(torch::MemoryFormat::ChannelsLast);
  for (auto _ : state) {
    benchmark::DoNotOptimize(InferenceConv2d(x, weight, {}, 1));
  }
  CountMultiplyAdds(state, kBatch * ConvolutionOf(channels, side));
}

// The same by definition: styles times activations, convolution, demodulation.
void ModulatedConvolution(benchmark::State& state) {
  const torch::NoGradGuard no_grad;
  const int64_t channels = state.range(0), side = state.range(1);
  const torch::Tensor x = RandomActivations(kBatch, channels, side);
  const torch::Tensor weight = torch::randn({channels, channels, 3, 3});
  const torch::Tensor style = torch::randn({kBatch, channels});
  for (auto _ : state) {
    const torch::Tensor demodulation =
        torch::rsqrt(torch::matmul(style.square(), weight.square().sum({2, 3}).t()) + 1e-8);
    const torch::Tensor y = torch::conv2d(x * style.view({kBatch, channels, 1, 1}), weight, {}, 1,
                                          /*padding=*/1);
    benchmark::DoNotOptimize(y * demodulation.view({kBatch, channels, 1, 1}));
  }
  CountMultiplyAdds(state, kBatch * ConvolutionOf(channels, side));
}

// One coordinate moved in both directions: one input channel's convolution, shared, and the
// activation of two outputs.
void RankOneUpdate(benchmark::State& state) {
  const int64_t channels = state.range(0), side = state.range(1);
  const int64_t values = side * side * channels;
  const torch::Tensor plane = torch::randn({side + 2, side + 2});
  const torch::Tensor kernel = torch::randn({3, 3, channels});
  const torch::Tensor base = torch::randn({values}), shift = torch::randn({values});
  const torch::Tensor gain = torch::rand({2, channels}), slope = torch::randn({2, channels});
  torch::Tensor out = torch::empty({2, values});
  std::vector<float> scratch(static_cast<size_t>(channels));
  kernels::ChannelMove move;
  move.plane = plane.data_ptr<float>();
  move.kernel = kernel.data_ptr<float>();
  move.side = side;
  move.channels = channels;
  std::array<kernels::MovedOutput, 2> outputs;
  for (int64_t i = 0; i < 2; ++i) {
    outputs[static_cast<size_t>(i)] = {gain[i].data_ptr<float>(), slope[i].data_ptr<float>(),
                                       out[i].data_ptr<float>()};
  }
  for (auto _ : state) {
    kernels::MoveChannel(move, base.data_ptr<float>(), shift.data_ptr<float>(), outputs.data(), 2,
                         scratch.data());
    benchmark::ClobberMemory();
  }
  CountMultiplyAdds(state, ConvolutionOf(channels, side) / static_cast<double>(channels));
}

// The computation that the update replaces: the whole layer for both directions.
void WholeLayerForBothDirections(benchmark::State& state) {
  const torch::NoGradGuard no_grad;
  const int64_t channels = state.range(0), side = state.range(1);
  const torch::Tensor x = RandomActivations(2, channels, side);
  const torch::Tensor weight =
      torch::randn({channels, channels, 3, 3}).contiguous(torch::MemoryFormat::ChannelsLast);
  for (auto _ : state) {
    benchmark::DoNotOptimize(ScaledLeakyRelu(InferenceConv2d(x, weight, {}, 1)));
  }
  CountMultiplyAdds(state, 2 * ConvolutionOf(channels, side));
}

// Second half of an upsampling convolution: sums up neighbourhoods, filters, activates.
void UpFilter(benchmark::State& state) {
  const int64_t channels = state.range(0), side = state.range(1);
  const torch::Tensor columns = torch::randn({side, side, 9, channels});
  const torch::Tensor shift = torch::randn({2 * side, 2 * side, channels});
  torch::Tensor out = torch::empty({2 * side, 2 * side, channels});
  std::vector<float> scratch(static_cast<size_t>(kernels::UpFilterScratch(side, channels)));
  for (auto _ : state) {
    kernels::UpFilterAndActivate(columns.data_ptr<float>(), shift.data_ptr<float>(), side, channels,
                                 scratch.data(), out.data_ptr<float>());
    benchmark::ClobberMemory();
  }
}

// FIR filter after a transposed convolution, and activation, by plain operators: what UpFilter
// replaces.
void PlainUpFilter(benchmark::State& state) {
  const torch::NoGradGuard no_grad;
  const int64_t channels = state.range(0), side = state.range(1);
  const torch::Tensor x = torch::randn({1, channels, 2 * side + 1, 2 * side + 1});
  const torch::Tensor kernel = FirKernel();
  for (auto _ : state) {
    benchmark::DoNotOptimize(ScaledLeakyRelu(FirFilter(x, kernel, 1, 1, 1, 4)));
  }
}

// Downsampling in discriminator and encoder.
void FirDown(benchmark::State& state) {
  const torch::NoGradGuard no_grad;
  const int64_t channels = state.range(0), side = state.range(1);
  const torch::Tensor x = RandomActivations(1, channels, side);
  const torch::Tensor kernel = FirKernel();
  for (auto _ : state) {
    benchmark::DoNotOptimize(FirFilter(x, kernel, 1, 1, /*stride=*/2));
  }
}

// The widest layers of the shipped network, and those of 64x64 networks.
void Shapes(benchmark::internal::Benchmark* benchmark) {
  for (const auto& [channels, side] :
       {std::pair<int64_t, int64_t>{48, 8}, {48, 16}, {128, 16}, {128, 32}, {64, 32}}) {
    benchmark->Args({channels, side});
  }
  benchmark->Unit(benchmark::kMicrosecond);
}

BENCHMARK(ModulatedConvolution)->Apply(Shapes);
BENCHMARK(FoldedConvolution)->Apply(Shapes);
BENCHMARK(WholeLayerForBothDirections)->Apply(Shapes);
BENCHMARK(RankOneUpdate)->Apply(Shapes);
BENCHMARK(PlainUpFilter)->Apply(Shapes);
BENCHMARK(UpFilter)->Apply(Shapes);
BENCHMARK(FirDown)->Apply(Shapes);

}  // namespace
}  // namespace stylex

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
