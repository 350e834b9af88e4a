/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which texts may name a device, a module, a hub. Device and module ids are those of IoT Hub: 1 to
 * 128 ASCII letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ ' and they are case-sensitive.
 * A hub's name is 1 to 50 letters, digits and hyphens, no hyphen at either end. ERR_ARGUMENT with
 * the character and its place. Pure.
 */
#ifndef GEMEL_IDS_H
#define GEMEL_IDS_H

#include "err.h"
#include "span.h"

#define ID_MAX_BYTES 128

enum err ids_check_device(struct span id, struct why *why) MUST_USE;
enum err ids_check_module(struct span id, struct why *why) MUST_USE;
enum err ids_check_hub(struct span name, struct why *why) MUST_USE;

#endif
