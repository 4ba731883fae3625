// SPDX-License-Identifier: Apache-2.0
#include "core/i420_picture.h"

#include <libyuv/convert.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace scanbridge::host {
namespace {

/// Rows start where vector loads like it.
constexpr size_t kAlign = 64;

constexpr int AlignedStride(uint32_t width) {
  return static_cast<int>((width + kAlign - 1) / kAlign * kAlign);
}

/// libyuv names formats by the bytes of a little-endian word, so "ARGB" is B, G, R, A in memory.
auto Converter(PixelOrder order) {
  switch (order) {
    case PixelOrder::kBgrx:
      return libyuv::ARGBToI420;
    case PixelOrder::kRgbx:
      return libyuv::ABGRToI420;
    case PixelOrder::kXbgr:
      return libyuv::RGBAToI420;
    case PixelOrder::kXrgb:
      return libyuv::BGRAToI420;
  }
  std::abort();
}

}  // namespace

void I420Picture::Free::operator()(uint8_t* data) const {
  std::free(data);
}

I420Picture::I420Picture(uint32_t width, uint32_t height)
    : width_(width),
      height_(height),
      coded_width_(CodedSize(width)),
      coded_height_(CodedSize(height)),
      stale_(width, height) {
  strides_ = {AlignedStride(coded_width_), AlignedStride(coded_width_ / 2),
              AlignedStride(coded_width_ / 2)};
  const size_t luma = size_t{coded_height_} * static_cast<size_t>(strides_[0]);
  const size_t chroma = size_t{coded_height_ / 2} * static_cast<size_t>(strides_[1]);
  offsets_ = {0, luma, luma + chroma};
  size_ = (luma + 2 * chroma + kAlign - 1) / kAlign * kAlign;
  data_.reset(static_cast<uint8_t*>(std::aligned_alloc(kAlign, size_)));
  if (!data_) throw std::bad_alloc();
  // The gaps between rows are never shown, but an encoder may read them.
  std::memset(data_.get(), 0, size_);
  stale_.AddAll();
}

void I420Picture::Refresh(const PixelView& source) {
  for (uint32_t row = 0; row < stale_.rows(); row++) {
    for (uint32_t column = 0; column < stale_.columns(); column++) {
      if (!stale_.Has(column, row)) continue;
      const uint32_t first = column;
      while (column + 1 < stale_.columns() && stale_.Has(column + 1, row)) column++;
      const uint32_t x = first * kTile;
      const uint32_t y = row * kTile;
      Convert(source, x, y, std::min(width_, (column + 1) * kTile) - x,
              std::min(height_, y + kTile) - y);
    }
  }
  stale_.Clear();
}

/// x and y are even; so are width and height, unless the rectangle touches the edge.
void I420Picture::Convert(const PixelView& source, uint32_t x, uint32_t y, uint32_t width,
                          uint32_t height) {
  const uint8_t* const from = source.data + static_cast<ptrdiff_t>(y) * source.stride +
                              static_cast<ptrdiff_t>(x) * kBytesPerPixel;
  const auto luma = static_cast<size_t>(strides_[0]);
  const auto chroma = static_cast<size_t>(strides_[1]);
  Converter(source.order)(from, static_cast<int>(source.stride), Plane(0) + y * luma + x,
                          strides_[0], Plane(1) + y / 2 * chroma + x / 2, strides_[1],
                          Plane(2) + y / 2 * chroma + x / 2, strides_[2], static_cast<int>(width),
                          static_cast<int>(height));
  if (x + width == width_ && coded_width_ != width_) PadRight(y, height);
  if (y + height == height_ && coded_height_ != height_) PadBottom();
}

void I420Picture::PadRight(uint32_t y, uint32_t height) {
  for (size_t plane = 0; plane < 3; plane++) {
    const uint32_t shift = plane == 0 ? 0 : 1;
    const uint32_t used = (width_ + shift) >> shift;
    const uint32_t coded = coded_width_ >> shift;
    const uint32_t last = (y + height + shift) >> shift;
    for (uint32_t line = y >> shift; line < last; line++) {
      uint8_t* const start = Plane(plane) + size_t{line} * static_cast<size_t>(strides_[plane]);
      std::memset(start + used, start[used - 1], coded - used);
    }
  }
}

void I420Picture::PadBottom() {
  for (size_t plane = 0; plane < 3; plane++) {
    const uint32_t shift = plane == 0 ? 0 : 1;
    const uint32_t used = (height_ + shift) >> shift;
    const auto stride = static_cast<size_t>(strides_[plane]);
    const uint8_t* const edge = Plane(plane) + (used - 1) * stride;
    for (uint32_t line = used; line < coded_height_ >> shift; line++) {
      std::memcpy(Plane(plane) + line * stride, edge, coded_width_ >> shift);
    }
  }
}

}  // namespace scanbridge::host
