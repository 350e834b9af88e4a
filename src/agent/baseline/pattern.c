/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_priv.h"

#include <ctype.h>

/* The largest number in "{…}" at `at`, or 0. */
static unsigned repetition(const char *at)
{
    unsigned largest = 0, number = 0;
    for (at++; *at != '\0' && *at != '}'; at++) {
        if (!isdigit((unsigned char)*at)) {
            number = 0;
            continue;
        }
        number = number > 10000 ? number : 10 * number + (unsigned)(*at - '0');
        if (number > largest)
            largest = number;
    }
    return largest;
}

/* Refuses what can make a matcher slow or large; false with the reason. Repetitions count together,
 * since one within another multiplies. */
static bool is_tame(const char *text, struct why *why)
{
    unsigned repeated = 1;
    if (strlen(text) > PATTERN_BYTES_MAX) {
        why_set(why, "it is longer than %u bytes", PATTERN_BYTES_MAX);
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
            if (isdigit((unsigned char)*at)) {
                why_set(why, "it refers back with \\%c", *at);
                return false;
            }
        } else if (*at == '{') {
            unsigned more = repetition(at);
            repeated *= more == 0 ? 1 : more;
            if (repeated > PATTERN_REPEAT_MAX) {
                why_set(why, "its repetitions multiply to more than %u", PATTERN_REPEAT_MAX);
                return false;
            }
        }
    }
    return true;
}

enum err pattern_compile(const char *text, int flags, regex_t *ret_regex, struct why *why)
{
    if (!is_tame(text, why))
        return ERR_FORMAT;
    int error = regcomp(ret_regex, text, REG_EXTENDED | flags);
    if (error == 0)
        return ERR_NONE;
    char sentence[128];
    regerror(error, ret_regex, sentence, sizeof(sentence));
    return fail(error == REG_ESPACE ? ERR_MEMORY : ERR_FORMAT, why, "%s", sentence);
}

bool pattern_match(const regex_t *regex, struct span text, struct span *ret_capture)
{
    regmatch_t places[2] = {{.rm_so = 0, .rm_eo = (regoff_t)text.len}, {.rm_so = -1, .rm_eo = -1}};
    const char *bytes = text.ptr == NULL ? "" : text.ptr;
    if (regexec(regex, bytes, ret_capture == NULL ? 0 : 2, places, REG_STARTEND) != 0)
        return false;
    if (ret_capture != NULL)
        *ret_capture = places[1].rm_so < 0 ? SPAN_NONE
                                           : (struct span){bytes + places[1].rm_so,
                                                 (size_t)(places[1].rm_eo - places[1].rm_so)};
    return true;
}
