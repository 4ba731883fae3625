// SPDX-License-Identifier: Apache-2.0
#include "screencast/input.h"

#include <gtest/gtest.h>

#include <string>

namespace scanbridge::guest {
namespace {

/// The calls as text; frees their arguments.
std::string Print(const std::vector<InputCall>& calls) {
  std::string text;
  for (const InputCall& call : calls) {
    GVariant* arguments = g_variant_ref_sink(call.arguments);
    char* printed = g_variant_print(arguments, FALSE);
    text += std::string(call.method) + printed + ";";
    g_free(printed);
    g_variant_unref(arguments);
  }
  return text;
}

TEST(MutterInput, NamesTheStreamOfPositions) {
  MutterInput input("/stream");
  EXPECT_EQ(Print(input.Translate(MotionEvent{1.5, 2})),
            "NotifyPointerMotionAbsolute('/stream', 1.5, 2.0);");
  EXPECT_EQ(Print(input.Translate(TouchEvent{3, TouchEvent::Phase::kDown, 4, 5})),
            "NotifyTouchDown('/stream', 3, 4.0, 5.0);");
  EXPECT_EQ(Print(input.Translate(TouchEvent{3, TouchEvent::Phase::kUp, 4, 5})),
            "NotifyTouchUp(3,);");
}

TEST(MutterInput, PassesKeysAndButtons) {
  MutterInput input("/stream");
  EXPECT_EQ(Print(input.Translate(KeyEvent{30, true})), "NotifyKeyboardKeycode(30, true);");
  EXPECT_EQ(Print(input.Translate(ButtonEvent{0x110, false})), "NotifyPointerButton(272, false);");
}

TEST(MutterInput, CollectsPartsOfAWheelStep) {
  MutterInput input("/stream");
  EXPECT_EQ(Print(input.Translate(AxisEvent{0, 80, true})), "");
  EXPECT_EQ(Print(input.Translate(AxisEvent{0, 80, true})), "NotifyPointerAxisDiscrete(0, 1);");
  EXPECT_EQ(Print(input.Translate(AxisEvent{0, 80, true})), "NotifyPointerAxisDiscrete(0, 1);");
  EXPECT_EQ(Print(input.Translate(AxisEvent{-240, 0, true})), "NotifyPointerAxisDiscrete(1, -2);");
  EXPECT_EQ(Print(input.Translate(AxisEvent{1, 2, false})), "NotifyPointerAxis(1.0, 2.0, 4);");
}

}  // namespace
}  // namespace scanbridge::guest
