// SPDX-License-Identifier: Apache-2.0
#include "screencast/input.h"

#include <cmath>
#include <type_traits>

namespace scanbridge::guest {
namespace {

// What Wayland and libinput call one step of a wheel.
constexpr double kWheelStep = 120;
// Axes and flags of NotifyPointerAxisDiscrete and NotifyPointerAxis.
constexpr uint32_t kVertical = 0;
constexpr uint32_t kHorizontal = 1;
constexpr uint32_t kSourceFinger = 1 << 2;

/// Whole steps in `rest`, which keeps the remainder.
int32_t TakeSteps(double& rest) {
  const double steps = std::trunc(rest / kWheelStep);
  rest -= steps * kWheelStep;
  return static_cast<int32_t>(steps);
}

}  // namespace

std::vector<InputCall> MutterInput::Translate(const InputEvent& event) {
  return std::visit(
      [this](const auto& e) -> std::vector<InputCall> {
        using T = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<T, MotionEvent>) {
          return {
              {"NotifyPointerMotionAbsolute", g_variant_new("(sdd)", stream_.c_str(), e.x, e.y)}};
        } else if constexpr (std::is_same_v<T, ButtonEvent>) {
          return {{"NotifyPointerButton",
                   g_variant_new("(ib)", static_cast<int32_t>(e.code), e.pressed)}};
        } else if constexpr (std::is_same_v<T, KeyEvent>) {
          return {{"NotifyKeyboardKeycode", g_variant_new("(ub)", e.code, e.pressed)}};
        } else if constexpr (std::is_same_v<T, AxisEvent>) {
          return Axis(e);
        } else {
          switch (e.phase) {
            case TouchEvent::Phase::kDown:
              return {
                  {"NotifyTouchDown", g_variant_new("(sudd)", stream_.c_str(), e.slot, e.x, e.y)}};
            case TouchEvent::Phase::kMotion:
              return {{"NotifyTouchMotion",
                       g_variant_new("(sudd)", stream_.c_str(), e.slot, e.x, e.y)}};
            case TouchEvent::Phase::kUp:
              return {{"NotifyTouchUp", g_variant_new("(u)", e.slot)}};
          }
          return {};
        }
      },
      event);
}

std::vector<InputCall> MutterInput::Axis(const AxisEvent& event) {
  if (!event.discrete) {
    return {{"NotifyPointerAxis", g_variant_new("(ddu)", event.dx, event.dy, kSourceFinger)}};
  }
  std::vector<InputCall> calls;
  wheel_x_ += event.dx;
  wheel_y_ += event.dy;
  if (const int32_t steps = TakeSteps(wheel_y_); steps != 0) {
    calls.push_back({"NotifyPointerAxisDiscrete", g_variant_new("(ui)", kVertical, steps)});
  }
  if (const int32_t steps = TakeSteps(wheel_x_); steps != 0) {
    calls.push_back({"NotifyPointerAxisDiscrete", g_variant_new("(ui)", kHorizontal, steps)});
  }
  return calls;
}

}  // namespace scanbridge::guest
