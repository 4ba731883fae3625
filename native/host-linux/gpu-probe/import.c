// SPDX-License-Identifier: Apache-2.0
// What a picture goes through on an NVIDIA GPU, step by step: a dma-buf of somebody else (here: one
// that EGL exports from a texture) is imported as an EGL image, blitted into a texture of our own,
// which is registered with CUDA once, and read through CUDA.
#include <stdio.h>
#include <string.h>

#include "asks.h"
#include "cuda.h"
#include "egl.h"
#include "library.h"
#include "report.h"

enum {
  SIZE = 64,  // [pixels]
  EGL_NONE = 0x3038,
  EGL_GL_TEXTURE_2D = 0x30b1,
  EGL_LINUX_DMA_BUF = 0x3270,
  EGL_OPENGL_ES_API = 0x30a0,
  EGL_CONTEXT_MAJOR = 0x3098,
  EGL_IMAGE_PRESERVED = 0x30d2,
  EGL_WIDTH = 0x3057,
  EGL_HEIGHT = 0x3056,
  EGL_FOURCC = 0x3271,
  EGL_PLANE_FD = 0x3272,
  EGL_PLANE_OFFSET = 0x3273,
  EGL_PLANE_PITCH = 0x3274,
  EGL_PLANE_MODIFIER_LOW = 0x3443,
  EGL_PLANE_MODIFIER_HIGH = 0x3444,
  GL_TEXTURE_2D = 0x0de1,
  GL_RGBA = 0x1908,
  GL_RGBA8 = 0x8058,
  GL_UNSIGNED_BYTE = 0x1401,
  GL_NEAREST = 0x2600,
  GL_MIN_FILTER = 0x2801,
  GL_MAG_FILTER = 0x2800,
  GL_COLOR = 0x4000,
  GL_READ_FRAMEBUFFER = 0x8ca8,
  GL_DRAW_FRAMEBUFFER = 0x8ca9,
  GL_ATTACHMENT0 = 0x8ce0,
  GL_COMPLETE = 0x8cd5,
  GL_RENDERER = 0x1f01,
  CUDA_READ_ONLY = 1,
  CUDA_MEMORY_HOST = 1,
  CUDA_MEMORY_ARRAY = 3,
};

/// CUDA_MEMCPY2D.
struct cuda_copy {
  size_t source_x, source_y;
  int source_type;
  const void* source_host;
  uint64_t source_device;
  void* source_array;
  size_t source_pitch;
  size_t to_x, to_y;
  int to_type;
  void* to_host;
  uint64_t to_device;
  void* to_array;
  size_t to_pitch;
  size_t width_bytes, height;
};

struct functions {
  unsigned (*bind_api)(unsigned api);
  void* (*create_context)(void*, void*, void*, const int*);
  unsigned (*make_current)(void*, void*, void*, void*);
  void* (*create_image)(void*, void*, unsigned, void*, const int*);
  unsigned (*destroy_image)(void*, void*);
  unsigned (*export_query)(void*, void*, int*, int*, uint64_t*);
  unsigned (*export_image)(void*, void*, int*, int*, int*);
  const unsigned char* (*get_string)(unsigned);
  void (*gen_textures)(int, unsigned*);
  void (*bind_texture)(unsigned, unsigned);
  void (*tex_parameter)(unsigned, unsigned, int);
  void (*tex_image)(unsigned, int, int, int, int, int, unsigned, unsigned, const void*);
  void (*image_target)(unsigned, void*);
  void (*gen_framebuffers)(int, unsigned*);
  void (*bind_framebuffer)(unsigned, unsigned);
  void (*attach)(unsigned, unsigned, unsigned, unsigned, int);
  unsigned (*status)(unsigned);
  void (*blit)(int, int, int, int, int, int, int, int, unsigned, unsigned);
  void (*finish)(void);
  unsigned (*gl_error)(void);
  CuResult (*register_image)(void**, unsigned, unsigned, unsigned);
  CuResult (*map)(unsigned, void**, void*);
  CuResult (*unmap)(unsigned, void**, void*);
  CuResult (*mapped_array)(void**, void*, unsigned, unsigned);
  CuResult (*copy)(const struct cuda_copy*);
  CuResult (*unregister)(void*);
};

static bool load(struct functions* f, const struct egl* egl, const struct cuda* cuda) {
  const struct {
    const char* name;
    void* function;
  } gl[] = {
      {"eglBindAPI", &f->bind_api},
      {"eglCreateContext", &f->create_context},
      {"eglMakeCurrent", &f->make_current},
      {"eglCreateImageKHR", &f->create_image},
      {"eglDestroyImageKHR", &f->destroy_image},
      {"eglExportDMABUFImageQueryMESA", &f->export_query},
      {"eglExportDMABUFImageMESA", &f->export_image},
      {"glGetString", &f->get_string},
      {"glGenTextures", &f->gen_textures},
      {"glBindTexture", &f->bind_texture},
      {"glTexParameteri", &f->tex_parameter},
      {"glTexImage2D", &f->tex_image},
      {"glEGLImageTargetTexture2DOES", &f->image_target},
      {"glGenFramebuffers", &f->gen_framebuffers},
      {"glBindFramebuffer", &f->bind_framebuffer},
      {"glFramebufferTexture2D", &f->attach},
      {"glCheckFramebufferStatus", &f->status},
      {"glBlitFramebuffer", &f->blit},
      {"glFinish", &f->finish},
      {"glGetError", &f->gl_error},
  };
  for (size_t i = 0; i < sizeof gl / sizeof gl[0]; i++) {
    void* const address = egl->get_proc_address(gl[i].name);
    memcpy(gl[i].function, &address, sizeof address);
    if (address == NULL) {
      report_format("error", "EGL has no %s", gl[i].name);
      return false;
    }
  }
  if (cuda == NULL) return true;
  return library_symbol(cuda->library, "cuGraphicsGLRegisterImage", &f->register_image) &&
         library_symbol(cuda->library, "cuGraphicsMapResources", &f->map) &&
         library_symbol(cuda->library, "cuGraphicsUnmapResources", &f->unmap) &&
         library_symbol(cuda->library, "cuGraphicsSubResourceGetMappedArray", &f->mapped_array) &&
         library_symbol(cuda->library, "cuMemcpy2D_v2", &f->copy) &&
         library_symbol(cuda->library, "cuGraphicsUnregisterResource", &f->unregister);
}

static uint32_t pixel(uint32_t x, uint32_t y) {
  return 0xff000000u | (x * 3 & 255) << 16 | (y * 5 & 255) << 8 | ((x ^ y) & 255);
}

static unsigned texture(const struct functions* f, const void* pixels) {
  unsigned name = 0;
  f->gen_textures(1, &name);
  f->bind_texture(GL_TEXTURE_2D, name);
  f->tex_parameter(GL_TEXTURE_2D, GL_MIN_FILTER, GL_NEAREST);
  f->tex_parameter(GL_TEXTURE_2D, GL_MAG_FILTER, GL_NEAREST);
  if (pixels != NULL) {
    f->tex_image(GL_TEXTURE_2D, 0, GL_RGBA8, SIZE, SIZE, 0, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
  }
  return name;
}

/// An image of the texture, exported as a dma-buf and imported again; NULL, with "error".
static void* through_dmabuf(const struct functions* f, const struct egl* egl, void* display,
                            void* context, unsigned source) {
  report_stage("exporting a texture as a dma-buf");
  void* const image = f->create_image(display, context, EGL_GL_TEXTURE_2D, (void*)(uintptr_t)source,
                                      (const int[]){EGL_IMAGE_PRESERVED, 1, EGL_NONE});
  int fourcc = 0;
  int planes = 0;
  uint64_t modifier = 0;
  int fds[4] = {-1, -1, -1, -1};
  int strides[4] = {0};
  int offsets[4] = {0};
  if (image == NULL || !f->export_query(display, image, &fourcc, &planes, &modifier) ||
      planes != 1 || !f->export_image(display, image, fds, strides, offsets)) {
    report_format("error", "a texture cannot become a dma-buf: EGL 0x%x, %d planes",
                  (unsigned)egl->get_error(), planes);
    return NULL;
  }
  report_format("fourcc", "%.4s", (const char*)&fourcc);
  report_format("modifier", "0x%016llx", (unsigned long long)modifier);
  report_number("stride", (uint64_t)strides[0]);
  report_stage("importing a dma-buf as an EGL image");
  const int attributes[] = {EGL_WIDTH,
                            SIZE,
                            EGL_HEIGHT,
                            SIZE,
                            EGL_FOURCC,
                            fourcc,
                            EGL_PLANE_FD,
                            fds[0],
                            EGL_PLANE_OFFSET,
                            offsets[0],
                            EGL_PLANE_PITCH,
                            strides[0],
                            EGL_PLANE_MODIFIER_LOW,
                            (int)(uint32_t)modifier,
                            EGL_PLANE_MODIFIER_HIGH,
                            (int)(uint32_t)(modifier >> 32),
                            EGL_NONE};
  void* const imported = f->create_image(display, NULL, EGL_LINUX_DMA_BUF, NULL, attributes);
  if (imported == NULL) {
    report_format("error", "the dma-buf cannot be imported: EGL 0x%x", (unsigned)egl->get_error());
  }
  return imported;
}

/// Blits a texture into `to`; false, with "error".
static bool blit(const struct functions* f, unsigned from, unsigned to) {
  unsigned framebuffers[2] = {0, 0};
  f->gen_framebuffers(2, framebuffers);
  f->bind_framebuffer(GL_READ_FRAMEBUFFER, framebuffers[0]);
  f->attach(GL_READ_FRAMEBUFFER, GL_ATTACHMENT0, GL_TEXTURE_2D, from, 0);
  f->bind_framebuffer(GL_DRAW_FRAMEBUFFER, framebuffers[1]);
  f->attach(GL_DRAW_FRAMEBUFFER, GL_ATTACHMENT0, GL_TEXTURE_2D, to, 0);
  const bool complete = f->status(GL_READ_FRAMEBUFFER) == GL_COMPLETE &&
                        f->status(GL_DRAW_FRAMEBUFFER) == GL_COMPLETE;
  if (complete) f->blit(0, 0, SIZE, SIZE, 0, 0, SIZE, SIZE, GL_COLOR, GL_NEAREST);
  f->finish();
  const unsigned error = f->gl_error();
  if (complete && error == 0) return true;
  report_format("error", "the image cannot be drawn: GL 0x%x, framebuffers %s", error,
                complete ? "complete" : "incomplete");
  return false;
}

/// Reads the texture through CUDA; the first function that failed, or NULL.
static const char* read_by_cuda(const struct functions* f, unsigned name, uint32_t* pixels,
                                CuResult* result) {
  void* resource = NULL;
  void* array = NULL;
  *result = f->register_image(&resource, name, GL_TEXTURE_2D, CUDA_READ_ONLY);
  if (*result != 0) return "cuGraphicsGLRegisterImage";
  const char* failed = NULL;
  if ((*result = f->map(1, &resource, NULL)) != 0) {
    failed = "cuGraphicsMapResources";
  } else {
    const struct cuda_copy copy = {.source_type = CUDA_MEMORY_ARRAY,
                                   .to_type = CUDA_MEMORY_HOST,
                                   .to_host = pixels,
                                   .to_pitch = SIZE * 4,
                                   .width_bytes = SIZE * 4,
                                   .height = SIZE};
    struct cuda_copy filled = copy;
    if ((*result = f->mapped_array(&array, resource, 0, 0)) != 0) {
      failed = "cuGraphicsSubResourceGetMappedArray";
    } else {
      filled.source_array = array;
      if ((*result = f->copy(&filled)) != 0) failed = "cuMemcpy2D";
    }
    f->unmap(1, &resource, NULL);
  }
  f->unregister(resource);
  return failed;
}

static void run(const struct functions* f, const struct egl* egl, const struct cuda* cuda,
                void* display) {
  // Functions of an extension that a display lacks are there and crash.
  const char* const extensions = egl->query_string(display, EGL_EXTENSIONS_NAME);
  if (!egl_has(extensions, "EGL_MESA_image_dma_buf_export") ||
      !egl_has(extensions, "EGL_EXT_image_dma_buf_import_modifiers")) {
    report_text("error", "EGL neither exports nor imports dma-bufs on this device");
    return;
  }
  report_stage("making a GL context");
  f->bind_api(EGL_OPENGL_ES_API);
  void* const context =
      f->create_context(display, NULL, NULL, (const int[]){EGL_CONTEXT_MAJOR, 3, EGL_NONE});
  if (context == NULL || !f->make_current(display, NULL, NULL, context)) {
    report_format("error", "no GL context: EGL 0x%x", (unsigned)egl->get_error());
    return;
  }
  const unsigned char* const renderer = f->get_string(GL_RENDERER);
  if (renderer != NULL) report_text("renderer", (const char*)renderer);
  static uint32_t painted[SIZE * SIZE];
  static uint32_t seen[SIZE * SIZE];
  for (uint32_t i = 0; i < SIZE * SIZE; i++) painted[i] = pixel(i % SIZE, i / SIZE);
  const unsigned source = texture(f, painted);
  memset(seen, 0, sizeof seen);
  const unsigned owned = texture(f, seen);
  f->finish();
  report_object("dmabuf");
  void* const image = through_dmabuf(f, egl, display, context, source);
  report_close();
  report_bool("imported", image != NULL);
  // Where there is no dma-buf, the rest of the way is tried with the texture itself.
  // Not `source`: an image was made of it, and what it holds after that is the driver's affair.
  const unsigned from = texture(f, image != NULL ? NULL : painted);
  if (image != NULL) f->image_target(GL_TEXTURE_2D, image);
  report_stage("drawing into a texture of our own");
  if (!blit(f, from, owned)) return;
  report_bool("drawn", true);
  if (cuda == NULL) return;
  report_stage("reading the texture through CUDA");
  CuResult result = 0;
  const char* const failed = read_by_cuda(f, owned, seen, &result);
  if (failed != NULL) {
    report_format("error", "%s: %s", failed, cuda_name(cuda, result));
    return;
  }
  size_t wrong = 0;
  for (uint32_t i = 0; i < SIZE * SIZE; i++) {
    if (seen[i] == painted[i]) continue;
    if (wrong++ == 0) report_format("firstWrong", "%u: %08x, not %08x", i, seen[i], painted[i]);
  }
  report_number("wrongPixels", wrong);
  report_number("pixels", (uint64_t)SIZE * SIZE);
}

void ask_import(unsigned long device) {
  struct egl egl;
  struct cuda cuda;
  struct functions functions;
  report_stage("loading libEGL.so.1");
  report_begin();
  report_object("result");
  if (egl_open(&egl)) {
    if (device >= (unsigned long)egl.device_count) {
      report_format("error", "there are %d EGL devices", egl.device_count);
    } else {
      const char* const extensions = egl.device_string(egl.devices[device], EGL_EXTENSIONS_NAME);
      intptr_t ordinal = 0;
      CuDevice chip = 0;
      CuContext context = NULL;
      bool with_cuda = egl.device_attribute != NULL && egl_has(extensions, "EGL_NV_device_cuda") &&
                       egl.device_attribute(egl.devices[device], EGL_CUDA_DEVICE, &ordinal);
      report_stage("making a CUDA context");
      if (with_cuda) {
        report_object("cuda");
        with_cuda = cuda_open(&cuda) && cuda.device_get(&chip, (int)ordinal) == 0 &&
                    cuda.retain(&context, chip) == 0 && cuda.set_current(context) == 0;
        report_bool("context", with_cuda);
        report_close();
      }
      const struct cuda* const used = with_cuda ? &cuda : NULL;
      void* const display = egl_display(&egl, egl.devices[device]);
      if (display != NULL && load(&functions, &egl, used)) run(&functions, &egl, used, display);
    }
  }
  report_end();
}
