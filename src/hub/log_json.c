/* SPDX-License-Identifier: Apache-2.0 */
#include "log_json.h"

#include "clock.h"
#include "json.h"

#include <stdio.h>

void log_json_write(
    int64_t wall_us, enum log_level level, const char *part, const char *sentence, struct buf *out)
{
    char time[CLOCK_TEXT_SIZE];
    buf_add_format(out, "{\"time\":\"%s\",\"level\":\"%s\",\"part\":", clock_format(wall_us, time),
        log_level_name(level));
    json_write_string(span_of(part), out);
    buf_add_text(out, ",\"message\":");
    json_write_string(span_of(sentence), out);
    buf_add_text(out, "}\n");
}

void log_json_writer(
    void *self UNUSED, enum log_level level, const char *part, const char *sentence)
{
    AUTO(buf_done) struct buf line = BUF_EMPTY;
    log_json_write(clock_wall_us(&clock_system), level, part, sentence, &line);
    if (line.failed)
        fprintf(stderr, "{\"level\":\"error\",\"part\":\"log\",\"message\":\"out of memory\"}\n");
    else
        fwrite(line.ptr, 1, line.len, stderr);
}
