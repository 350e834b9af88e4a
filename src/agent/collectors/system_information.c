/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine is: system, hardware, firmware, network interfaces. Five texts about hardware
 * and firmware have more than one source; the first that says something counts: the setting, then
 * sysinfo.json in the configuration directory, then the firmware's own tables (DMI) as the kernel
 * reads them, and as they are, then the device tree of boards that have no DMI.
 */
#include "collector.h"
#include "file.h"
#include "log.h"
#include "nics.h"
#include "os_release.h"
#include "smbios.h"

#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SMALL_FILE_MAX 4096u
#define SYSINFO_FILE_MAX (64u * 1024)
#define SMBIOS_FILE_MAX (1024u * 1024)
#define VALUE_MAX 1024u /* of what a file says; settings have their own limit */

struct source {
    const char *member;      /* of the payload */
    const char *key;         /* in sysinfo.json */
    const char *dmi;         /* file in /sys/class/dmi/id */
    const char *device_tree; /* file in /sys/firmware/devicetree/base */
    enum setting_id setting;
    uint8_t smbios_type; /* and where it stands in the firmware's table itself */
    uint8_t smbios_offset;
};

static const struct source sources[] = {
    {"hardware_vendor", "HardwareVendor", "sys_vendor", NULL,
        SETTING_SYSTEM_INFORMATION_HARDWARE_VENDOR, 1, 4},
    {"hardware_model", "HardwareModel", "product_name", "model",
        SETTING_SYSTEM_INFORMATION_HARDWARE_MODEL, 1, 5},
    {"hardware_serial_number", "HardwareSerialNumber", "product_serial", "serial-number",
        SETTING_SYSTEM_INFORMATION_HARDWARE_SERIAL_NUMBER, 1, 7},
    {"firmware_vendor", "FirmwareVendor", "bios_vendor", NULL,
        SETTING_SYSTEM_INFORMATION_FIRMWARE_VENDOR, 0, 4},
    {"firmware_version", "FirmwareVersion", "bios_version", NULL,
        SETTING_SYSTEM_INFORMATION_FIRMWARE_VERSION, 0, 5},
};

struct system_information {
    const char *sys_dir;
    const char *etc_dir;
    const char *root_dir;
    const char *config_dir;
    char *settings[COUNT_OF(sources)]; /* owned */
};

static void free_texts(char *texts[COUNT_OF(sources)])
{
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        mem_free(texts[i]);
}

static enum err start(
    void *state, const struct settings *settings, const char **ret_field UNUSED, struct why *why)
{
    struct system_information *self = state;
    char *texts[COUNT_OF(sources)] = {0};
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        texts[i] = mem_text(span_of(settings_text(settings, sources[i].setting)));
        if (texts[i] == NULL) {
            free_texts(texts);
            return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
        }
    }
    free_texts(self->settings);
    memcpy(self->settings, texts, sizeof(texts));
    return ERR_NONE;
}

/* Sets a member to a text, without blanks and NULs around it; an empty one is not set. */
static bool set_text(struct arena *arena, struct json *object, const char *name, struct span text)
{
    while (text.len > 0 && text.ptr[text.len - 1] == '\0')
        text.len--;
    text = span_trim(text);
    if (text.len == 0)
        return true;
    return json_set(arena, object, span_of(name), json_new_string(arena, text));
}

static bool set_from_file(struct arena *arena, struct json *object, const char *name,
    const char *sys_dir, const char *folder, const char *file)
{
    char *dir = arena_format(arena, "%s/%s", sys_dir, folder);
    if (dir == NULL)
        return false;
    AUTO(buf_done) struct buf text = {0};
    if (file == NULL || !file_read(dir, file, VALUE_MAX, &text))
        return true;
    return set_text(arena, object, name, buf_span(&text));
}

/* Reads sysinfo.json; NULL when there is none, or no good one. The original's documentation shows
 * its members without the braces around them, so that form is taken too, with or without a comma at
 * its end. */
static const struct json *read_sysinfo(const struct system_information *self, struct arena *arena)
{
    AUTO(buf_done) struct buf file = {0};
    if (self->config_dir == NULL ||
        !file_read(self->config_dir, "sysinfo.json", SYSINFO_FILE_MAX, &file))
        return NULL;
    struct span text = span_trim(buf_span(&file));
    AUTO(buf_done) struct buf whole = {0};
    bool braces = text.len > 0 && text.ptr[0] == '{';
    if (!braces && text.len > 0 && text.ptr[text.len - 1] == ',')
        text.len--;
    buf_add_text(&whole, braces ? "" : "{");
    buf_add(&whole, text);
    buf_add_text(&whole, braces ? "" : "}");
    struct json *value;
    struct why why = {""};
    enum err err = whole.failed ? ERR_MEMORY : json_parse(arena, buf_span(&whole), 0, &value, &why);
    if (err == ERR_NONE && value->kind == JSON_OBJECT)
        return value;
    log_warn("collectors", "sysinfo.json is not used: %s",
        err == ERR_NONE ? "it is no JSON object" : why_text(&why, err));
    return NULL;
}

/* A member of sysinfo.json. The original's documentation also names them as settings, one with a
 * blank in it: "SystemInformation_ FirmwareVersion". */
static struct span sysinfo_of(const struct json *sysinfo, const char *key)
{
    static const char *const prefix = "SystemInformation_";
    if (sysinfo == NULL)
        return SPAN_NONE;
    json_each (member, sysinfo) {
        struct span name = span_trim(member->key);
        if (span_starts(name, span_of(prefix)))
            name = span_trim(span_from(name, strlen(prefix)));
        if (member->kind == JSON_STRING && span_is(name, key))
            return member->text;
    }
    return SPAN_NONE;
}

/* The firmware's table as it is: where the kernel offers it, but not the text by itself. */
static bool set_from_table(const struct system_information *self, struct arena *arena,
    struct json *payload, const struct source *source)
{
    AUTO(buf_done) struct buf table = {0};
    char *dir = arena_format(arena, "%s/firmware/dmi/tables", self->sys_dir);
    if (dir == NULL)
        return false;
    if (!file_read(dir, "DMI", SMBIOS_FILE_MAX, &table))
        return true;
    return set_text(arena, payload, source->member,
        span_first(
            smbios_find(buf_span(&table), source->smbios_type, source->smbios_offset), VALUE_MAX));
}

static bool add_hardware(
    const struct system_information *self, struct arena *arena, struct json *payload)
{
    const struct json *sysinfo = read_sysinfo(self, arena);
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        const struct source *source = &sources[i];
        if (!set_text(arena, payload, source->member, span_of(self->settings[i])))
            return false;
        if (json_find_text(payload, source->member) == NULL &&
            !set_text(arena, payload, source->member,
                span_first(sysinfo_of(sysinfo, source->key), VALUE_MAX)))
            return false;
        if (json_find_text(payload, source->member) == NULL &&
            !set_from_file(
                arena, payload, source->member, self->sys_dir, "class/dmi/id", source->dmi))
            return false;
        if (json_find_text(payload, source->member) == NULL &&
            !set_from_table(self, arena, payload, source))
            return false;
        if (json_find_text(payload, source->member) == NULL &&
            !set_from_file(arena, payload, source->member, self->sys_dir,
                "firmware/devicetree/base", source->device_tree))
            return false;
    }
    return true;
}

static bool set_from_os_release(struct arena *arena, struct json *payload, struct span text,
    const char *name, const char *member)
{
    AUTO(buf_done) struct buf value = {0};
    if (!os_release_find(text, name, &value))
        return true;
    return !value.failed &&
           set_text(arena, payload, member, span_first(buf_span(&value), VALUE_MAX));
}

/* The device runs IoT Edge if its identity service, or an Edge before that had one, is set up. */
static const char *agent_type(const struct system_information *self)
{
    static const char *const marks[] = {"aziot", "iotedge"};
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        char path[PATH_MAX];
        int len = snprintf(path, sizeof(path), "%s/%s", self->etc_dir, marks[i]);
        if (len > 0 && (size_t)len < sizeof(path) && access(path, F_OK) == 0)
            return "Edge";
    }
    return "Standalone";
}

static bool add_system(
    const struct system_information *self, struct arena *arena, struct json *payload)
{
    AUTO(buf_done) struct buf release = {0};
    struct utsname name;
    must(uname(&name) == 0);
    if (!file_read(self->etc_dir, "os-release", SMALL_FILE_MAX, &release)) {
        char *lib = arena_format(arena, "%s/usr/lib", self->root_dir);
        buf_clear(&release);
        if (lib == NULL || !file_read(lib, "os-release", SMALL_FILE_MAX, &release))
            buf_clear(&release);
    }
    struct span text = buf_span(&release);
    return set_from_os_release(arena, payload, text, "ID", "os_dist") &&
           set_from_os_release(arena, payload, text, "VERSION_ID", "os_version") &&
           set_text(arena, payload, "os_platform", span_of(name.sysname)) &&
           set_text(arena, payload, "os_arch", span_of(name.machine)) &&
           set_text(arena, payload, "kernel_info", span_of(name.release)) &&
           set_text(arena, payload, "agent_type", span_of(agent_type(self))) &&
           set_text(arena, payload, "agent_version", SPAN_LIT(GEMEL_VERSION));
}

static enum err add_nics(
    const struct system_information *self, struct arena *arena, struct json *payload, size_t max)
{
    struct json *nics;
    size_t left_out;
    enum err err = nics_list(arena, self->sys_dir, self->root_dir, max, &nics, &left_out);
    if (err != ERR_NONE)
        return err == ERR_MEMORY ? err : ERR_NONE; /* the rest is worth sending */
    if (!json_set(arena, payload, SPAN_LIT("nics"), nics))
        return ERR_MEMORY;
    if (left_out > 0 && !json_set(arena, payload, SPAN_LIT("nics_left_out"),
                            json_new_int(arena, (int64_t)left_out)))
        return ERR_MEMORY;
    return ERR_NONE;
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    const struct system_information *self = state;
    size_t max = NICS_MAX;
    for (;;) {
        struct arena *arena;
        struct json *payload = collector_payload(writer, &arena);
        if (payload != NULL &&
            !(add_system(self, arena, payload) && add_hardware(self, arena, payload) &&
                add_nics(self, arena, payload, max) == ERR_NONE))
            payload = NULL;
        enum err err = collector_write(writer, collector_now_us(writer), 1, payload);
        if (err != ERR_TOO_LARGE)
            return err;
        if (max == 0) {
            collector_lose(writer, LOSS_TOO_LARGE, 1);
            return fail(err, why, "the payload passes the message limit");
        }
        max /= 2;
    }
}

static enum err system_information_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct system_information *self = mem_alloc(sizeof(*self));
    if (self == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    self->sys_dir = options->sys_dir;
    self->etc_dir = options->etc_dir;
    self->root_dir = options->root_dir == NULL ? "" : options->root_dir;
    self->config_dir = options->config_dir;
    *ret_state = self;
    return ERR_NONE;
}

static void system_information_free(void *state)
{
    struct system_information *self = state;
    if (self == NULL)
        return;
    free_texts(self->settings);
    mem_free(self);
}

const struct collector system_information_collector = {
    .name = "SystemInformation",
    .part = PART_SYSTEM_INFORMATION,
    .disabled = SETTING_SYSTEM_INFORMATION_DISABLED,
    .frequency = SETTING_SYSTEM_INFORMATION_MESSAGE_FREQUENCY,
    .capabilities = UINT64_C(1) << CAP_DAC_READ_SEARCH,
    .snapshot = true,
    .new = system_information_new,
    .free = system_information_free,
    .start = start,
    .collect = collect,
};
