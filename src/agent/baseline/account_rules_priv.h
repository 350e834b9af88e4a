/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the probe "accounts", by the file that they stand in. */
#ifndef GEMEL_BASELINE_ACCOUNT_RULES_PRIV_H
#define GEMEL_BASELINE_ACCOUNT_RULES_PRIV_H

#include "probe_priv.h"

/* What a rule judges by; the accounts are loaded. */
typedef enum baseline_result account_rule(
    struct context *context, const struct json *args, struct why *why);

account_rule rule_empty_password, rule_password_max_days, rule_password_min_days,
    rule_password_warn_days, rule_inactive_days, rule_last_change_past; /* probe_shadow.c */
account_rule rule_home_exists, rule_home_owned, rule_home_mode, rule_dotfiles_mode, rule_no_rhosts,
    rule_no_netrc, rule_no_forward;                                  /* probe_homes.c */
account_rule rule_default_umask, rule_shell_timeout, rule_root_path; /* probe_shells.c */

/* Whether somebody can get a shell with it. */
bool account_can_log_in(const struct account *user);

/* What was found of many: how many, and the first of them by name. */
struct offenders {
    size_t count;
    char names[200];
};

void offenders_add(struct offenders *offenders, const char *name);

/* PASS with `good`, or FAIL with the names and `bad` ("have no home directory"). */
enum baseline_result offenders_judge(
    const struct offenders *offenders, const char *good, const char *bad, struct why *why);

#endif
