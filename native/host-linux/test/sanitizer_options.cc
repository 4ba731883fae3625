// SPDX-License-Identifier: Apache-2.0
// What the sanitizers must know of the libraries that these tests link.

// GLib allocates for its whole life while it is loaded; whole stacks tell this apart from leaks of
// ours.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "fast_unwind_on_malloc=0";
}

extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  // x265 forgets some of its parameters.
  return "leak:_dl_init\n"
         "leak:libx265\n"
         "leak:libgstx265\n";
}

// GStreamer and its plug-ins are not built for the thread sanitizer, which cannot see their locks;
// what our own code does is checked.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "race:libgst\n"
         "race:libglib\n"
         "race:libgobject\n"
         "race:libx264\n"
         "race:libx265\n"
         "race:libvpx\n"
         "race:libaom\n"
         "race:libopenh264\n";
}
