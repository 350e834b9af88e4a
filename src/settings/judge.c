/* SPDX-License-Identifier: Apache-2.0 */
#include "describe_priv.h"
#include "value_priv.h"
#include "verdict_priv.h"

#define HINTS_MAX 64u

struct judging {
    struct settings effective;
    struct verdict *verdict;
    bool local; /* the document is conf.json */
    /* The good member that named a setting first: an alias may name it again. */
    const struct json *named[SETTING_COUNT];
};

static enum err blame_value(
    struct judging *judging, struct span name, const struct setting *row, const struct why *problem)
{
    AUTO(buf_done) struct buf allowed = BUF_EMPTY;
    AUTO(buf_done) struct buf fallback = BUF_EMPTY;
    describe_allowed(row, &allowed);
    describe_default(row, &fallback);
    if (allowed.failed || fallback.failed)
        return ERR_MEMORY;
    return verdict_blame(judging->verdict, name, "%s; allowed are %s (default %s)", problem->text,
        allowed.ptr, fallback.ptr);
}

static enum err blame_unknown(struct judging *judging, struct span name)
{
    /* Looking for the nearest name is slow, and further sentences have no room in a report. */
    const struct setting *near =
        judging->verdict->field_count >= HINTS_MAX ? NULL : describe_nearest(name, judging->local);
    if (near == NULL)
        return verdict_blame(judging->verdict, name, "there is no setting of this name");
    return verdict_blame(judging->verdict, name,
        "there is no setting of this name; the nearest one is %s", near->name);
}

static bool same_value(const struct setting_value *a, const struct setting_value *b)
{
    if (a->text != NULL && b->text != NULL)
        return strcmp(a->text, b->text) == 0;
    return a->text == b->text && a->number == b->number;
}

static enum err blame_both(
    struct judging *judging, const struct json *one, const struct json *other)
{
    static const char sentence[] =
        "%.*s names the same setting and has another value; give one of the two, or both the same";
    enum err err = verdict_blame(judging->verdict, one->key, sentence, SPAN_ARG(other->key));
    if (err != ERR_NONE)
        return err;
    return verdict_blame(judging->verdict, other->key, sentence, SPAN_ARG(one->key));
}

static enum err judge_setting(
    struct judging *judging, enum setting_id id, const struct json *member)
{
    const struct setting *row = setting_row(id);
    const struct json *before = judging->named[id];
    struct setting_value *effective = &judging->effective.values[id];
    struct setting_value value = {0};
    struct why problem = {""};
    enum err err = value_read(row, member, &value, &problem);
    if (err == ERR_ARGUMENT)
        err = blame_value(judging, member->key, row, &problem);
    else if (err == ERR_NONE && before != NULL && !same_value(&value, effective))
        err = blame_both(judging, before, member);
    else if (err == ERR_NONE) {
        struct setting_value old = *effective;
        *effective = value;
        value = old;
        judging->named[id] = member;
    }
    if (value.text != NULL && row->secret)
        mem_wipe(value.text, strlen(value.text));
    mem_free(value.text);
    return err;
}

static enum err judge_member(struct judging *judging, const struct json *member)
{
    enum setting_id id;
    if (span_is(member->key, "$version")) {
        int64_t version;
        if (json_int64(member, &version) && version >= 0)
            judging->verdict->desired_version = version;
        return ERR_NONE;
    }
    if (span_is(member->key, "$metadata") || member->kind == JSON_NULL)
        return ERR_NONE;
    if (!setting_find(member->key, &id))
        return blame_unknown(judging, member->key);
    if (setting_row(id)->local && !judging->local)
        return verdict_blame(judging->verdict, member->key,
            "this setting belongs in conf.json on the device, not in the twin");
    return judge_setting(judging, id, member);
}

/* Notes what is good and still deserves a line in the log. */
static enum err note_intervals(struct judging *judging)
{
    enum setting_id id = SETTING_COLLECTORS_CORE_PRIORITY_INTERVALS;
    const struct settings *settings = &judging->effective;
    int64_t high = settings_interval_seconds(settings, FREQUENCY_HIGH);
    int64_t medium = settings_interval_seconds(settings, FREQUENCY_MEDIUM);
    int64_t low = settings_interval_seconds(settings, FREQUENCY_LOW);
    if (judging->named[id] == NULL || (medium % high == 0 && low % medium == 0))
        return ERR_NONE;
    return verdict_note(judging->verdict, span_of(setting_row(id)->name),
        "each interval should be a multiple of the one before, so that messages are packed "
        "together");
}

/* The original's words for AMQP say which way out of the network is open, and that way is taken. */
static enum err note_connection(struct judging *judging)
{
    static const char *const notes[] = {
        [TRANSPORT_AMQP] = "AMQP is not offered, use MQTT_WebSocket_Protocol or MQTT_Protocol; "
                           "MQTT_Protocol is used",
        [TRANSPORT_AMQP_WEBSOCKET] = "AMQP is not offered, use MQTT_WebSocket_Protocol; it is used",
    };
    const char *note = notes[settings_transport(&judging->effective)];
    if (note == NULL)
        return ERR_NONE;
    return verdict_note(judging->verdict,
        span_of(setting_row(SETTING_IOTHUB_MODULE_TRANSPORT_PROTOCOL)->name), note);
}

static enum err judge_document(struct judging *judging, const struct json *document)
{
    enum err err = ERR_NONE;
    if (!json_is(document, JSON_OBJECT))
        return verdict_blame(judging->verdict, span_of(judging->local ? "conf.json" : "desired"),
            "the document is %s, not an object", json_kind_name(document));
    for (const struct json *m = document->first; m != NULL && err == ERR_NONE; m = m->next)
        err = judge_member(judging, m);
    if (err == ERR_NONE && verdict_ok(judging->verdict))
        err = note_intervals(judging);
    if (err == ERR_NONE && verdict_ok(judging->verdict) && judging->local)
        err = note_connection(judging);
    return err;
}

static enum err judge(const struct settings *base, const struct json *document, bool local,
    struct settings *ret_effective, struct verdict *verdict)
{
    struct judging judging = {.verdict = verdict, .local = local};
    verdict_done(verdict);
    enum err err = settings_copy(base, &judging.effective);
    if (err != ERR_NONE)
        return err;
    err = judge_document(&judging, document);
    if (err == ERR_NONE && !verdict_ok(verdict))
        err = ERR_ARGUMENT;
    if (err != ERR_NONE) {
        settings_done(&judging.effective);
        return err;
    }
    *ret_effective = judging.effective;
    return ERR_NONE;
}

enum err settings_judge(const struct settings *base, const struct json *desired,
    struct settings *ret_effective, struct verdict *verdict)
{
    return judge(base, desired, false, ret_effective, verdict);
}

enum err settings_judge_local(
    const struct json *conf, struct settings *ret_base, struct verdict *verdict)
{
    struct settings defaults;
    settings_init(&defaults);
    return judge(&defaults, conf, true, ret_base, verdict);
}
