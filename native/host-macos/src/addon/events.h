// SPDX-License-Identifier: Apache-2.0
// Carries an engine's events to a JavaScript function, in batches and in order.
//
// Ownership: whoever made the queue has one reference, and the thread-safe function the other one,
// which it gives back when Node has finished with it. Depth: the engine asks full() before it reads
// its source and wants_video() before it encodes, so that a JavaScript that does not run costs 4
// access units and 64 other events.
#ifndef SCANBRIDGE_MACOS_ADDON_EVENTS_H_
#define SCANBRIDGE_MACOS_ADDON_EVENTS_H_

#include <node_api.h>

#include "engine/engine.h"

typedef struct event_queue event_queue;

/// NULL when Node has no memory. `taken` is called on the JavaScript thread after events were
/// taken.
event_queue* events_open(napi_env env, napi_value listener, void (*taken)(void* context),
                         void* context);
/// The sink of an engine; it holds nothing.
sbm_sink events_sink(event_queue* queue);
/// Of the JavaScript thread, once, when the engine is gone: nothing is delivered any more.
void events_close(event_queue* queue);

#endif
