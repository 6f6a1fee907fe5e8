// An independent reference of the glimpse and its gradients: dense banks, all
// in double. Images are [H, W, C], a window is six numbers.

#ifndef RATM_TF_CUSTOM_OPS_TESTS_REFERENCE_H_
#define RATM_TF_CUSTOM_OPS_TESTS_REFERENCE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "custom_ops/glimpse.h"

namespace reference {

using ratm::GlimpseShape;
using Numbers = std::vector<double>;

// One axis: the filter bank, size by length, and its derivatives.
struct Bank {
  int64_t length;
  Numbers weight;
  Numbers by_mu;
  Numbers by_sigma;

  Bank(double center, double sigma, double stride, int64_t size, int64_t length)
      : length(length),
        weight(size * length),
        by_mu(size * length),
        by_sigma(size * length) {
    sigma = std::max(sigma, ratm::kMinSigma);
    for (int64_t i = 0; i < size; ++i) {
      const double mu = center + (i - 0.5 * (size - 1)) * stride;
      const double nearest =
          std::nearbyint(std::clamp<double>(mu, 0, length - 1));
      double* w = &weight[i * length];
      const auto moment = [&](int64_t a) { return a - nearest; };
      // (a - mu)^2 - (nearest - mu)^2, without their cancellation.
      const auto excess = [&](int64_t a) {
        return moment(a) * (moment(a) + 2 * (nearest - mu));
      };
      double total = 0, mean_t = 0, mean_q = 0;
      for (int64_t a = 0; a < length; ++a) {
        w[a] = std::exp(-excess(a) / (2 * sigma * sigma));
        total += w[a];
      }
      for (int64_t a = 0; a < length; ++a) {
        w[a] /= total;
        mean_t += w[a] * moment(a);
        mean_q += w[a] * excess(a);
      }
      for (int64_t a = 0; a < length; ++a) {
        by_mu[i * length + a] = w[a] * (moment(a) - mean_t) / (sigma * sigma);
        by_sigma[i * length + a] =
            w[a] * (excess(a) - mean_q) / (sigma * sigma * sigma);
      }
    }
  }
};

struct Result {
  Numbers glimpses;     // [B, K, N, M, C]
  Numbers window_grad;  // [B, K, 6]
  Numbers images_grad;  // [B, H, W, C]
};

// lines[i, j] = sum over h of bank[i, h] times numbers[h, j].
inline Numbers Multiply(const Numbers& bank, int64_t size, int64_t length,
                        const double* numbers, int64_t row) {
  Numbers lines(size * row);
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t h = 0; h < length; ++h) {
      const double weight = bank[i * length + h];
      if (weight == 0) continue;
      for (int64_t j = 0; j < row; ++j) {
        lines[i * row + j] += weight * numbers[h * row + j];
      }
    }
  }
  return lines;
}

inline Result Compute(const GlimpseShape& shape, const Numbers& images,
                      const Numbers& windows, const Numbers& grad) {
  const int64_t rows = shape.rows, columns = shape.columns;
  const int64_t height = shape.height, width = shape.width;
  const int64_t channels = shape.channels;
  const int64_t image_row = width * channels;
  Result result;
  result.glimpses.assign(shape.batch * shape.count * rows * columns * channels,
                         NAN);
  result.window_grad.assign(windows.size(), NAN);
  result.images_grad.assign(images.size(), 0);
  for (int64_t k = 0; k < shape.batch * shape.count; ++k) {
    const double* w = &windows[k * ratm::kWindowSize];
    if (!std::all_of(w, w + ratm::kWindowSize,
                     [](double x) { return std::isfinite(x); })) {
      continue;
    }
    const Bank x(w[ratm::kCenterX], w[ratm::kSigmaX], w[ratm::kStrideX],
                 columns, width);
    const Bank y(w[ratm::kCenterY], w[ratm::kSigmaY], w[ratm::kStrideY], rows,
                 height);
    const int64_t image = k / shape.count * height * image_row;
    const auto read = [&](const Numbers& bank) {
      return Multiply(bank, rows, height, &images[image], image_row);
    };
    const Numbers lines = read(y.weight);
    const Numbers lines_mu = read(y.by_mu);
    const Numbers lines_sigma = read(y.by_sigma);
    Numbers lines_grad(rows * image_row);
    double* sums = &result.window_grad[k * ratm::kWindowSize];
    std::fill_n(sums, ratm::kWindowSize, 0);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t m = 0; m < columns; ++m) {
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t at = ((k * rows + i) * columns + m) * channels + c;
          const double g = grad[at];
          double glimpse = 0, mu_x = 0, mu_y = 0, sigma_x = 0, sigma_y = 0;
          for (int64_t a = 0; a < width; ++a) {
            const int64_t line = i * image_row + a * channels + c;
            const int64_t tap = m * width + a;
            glimpse += x.weight[tap] * lines[line];
            mu_x += x.by_mu[tap] * lines[line];
            mu_y += x.weight[tap] * lines_mu[line];
            sigma_x += x.by_sigma[tap] * lines[line];
            sigma_y += x.weight[tap] * lines_sigma[line];
            lines_grad[line] += x.weight[tap] * g;
          }
          result.glimpses[at] = glimpse;
          sums[ratm::kCenterX] += g * mu_x;
          sums[ratm::kCenterY] += g * mu_y;
          sums[ratm::kSigmaX] += g * sigma_x;
          sums[ratm::kSigmaY] += g * sigma_y;
          sums[ratm::kStrideX] += g * mu_x * (m - 0.5 * (columns - 1));
          sums[ratm::kStrideY] += g * mu_y * (i - 0.5 * (rows - 1));
        }
      }
    }
    if (w[ratm::kSigmaX] < ratm::kMinSigma) sums[ratm::kSigmaX] = 0;
    if (w[ratm::kSigmaY] < ratm::kMinSigma) sums[ratm::kSigmaY] = 0;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t h = 0; h < height; ++h) {
        const double weight = y.weight[i * height + h];
        if (weight == 0) continue;
        for (int64_t j = 0; j < image_row; ++j) {
          result.images_grad[image + h * image_row + j] +=
              weight * lines_grad[i * image_row + j];
        }
      }
    }
  }
  return result;
}

}  // namespace reference

#endif  // RATM_TF_CUSTOM_OPS_TESTS_REFERENCE_H_
