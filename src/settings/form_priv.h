/* SPDX-License-Identifier: Apache-2.0 */
/* The forms that a row of settings.def may ask of a text or of each item of a list. */
#ifndef GEMEL_FORM_PRIV_H
#define GEMEL_FORM_PRIV_H

#include "settings.h"

extern const struct setting_form form_any;
extern const struct setting_form form_check_id;
extern const struct setting_form form_group_name;
extern const struct setting_form form_interface;
extern const struct setting_form form_path;
extern const struct setting_form form_process_event;
extern const struct setting_form form_proxy;

/* Whether the bytes are UTF-8 without control characters (C0, DEL, C1). */
bool form_is_plain(struct span text);

#endif
