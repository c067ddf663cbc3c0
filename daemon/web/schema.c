/* SPDX-License-Identifier: Apache-2.0
 *
 * From the notation of results.def to JSON Schema: see schema.h. A parser by recursive descent that
 * builds the schema as it reads.
 */
#include "daemon/web/schema.h"
#include "daemon/base/check.h"

static const struct shape {
	const char *name;
	const char *fields;
} shapes[] = {
#define SHAPE(name, fields) {#name, fields},
#define RESULT(op, summary, fields)
#include "daemon/web/results.def"
};

enum {
#define SHAPE(name, fields)
#define RESULT(op, summary, fields) RESULT_OF_##op,
#include "daemon/web/results.def"
};

#define FILE_RESULT NULL
static const struct result {
	const char *summary;
	const char *fields;
} rows[] = {
#define SHAPE(name, fields)
#define RESULT(op, summary, fields) {summary, fields},
#include "daemon/web/results.def"
};

/* An operation without a row in results.def does not compile here. */
static const unsigned char row_of[OP_COUNT] = {
#define OP(NAME, name, level, effect) RESULT_OF_##NAME,
#define ARG(name, type, need, max, text)
#define END_OP
#include "daemon/ipc/operations.def"
};

static const struct {
	const char *word;
	const char *type;  /* NULL: whatever it is */
	const char *key;   /* a further word of the schema, or NULL */
	const char *value; /* its value */
} known[] = {
	{"str", "string", NULL, NULL},
	{"int", "integer", NULL, NULL},
	{"bool", "boolean", NULL, NULL},
	{"null", "null", NULL, NULL},
	{"any", NULL, NULL, NULL},
	{"time", "string", "format", "date-time"},
	{"hex", "string", "pattern", "^([0-9a-f]{2})*$"},
};

static const struct shape *find_shape(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (str_is(name, shapes[i].name))
			return &shapes[i];
	return NULL;
}

static void skip(struct str *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

static bool take(struct str *s, const char *token)
{
	*s = str_trim(*s);
	if (!str_prefix(*s, str_of(token)))
		return false;
	skip(s, strlen(token));
	return true;
}

/* Up to the next mark of the notation. */
static struct str take_word(struct str *s)
{
	size_t n = 0;
	while (n < s->n && !strchr(",|:?[]{}", s->p[n]))
		n++;
	const struct str word = str_trim(str_make(s->p, n));
	CHECK(word.n > 0);
	skip(s, n);
	return word;
}

static json_t *take_type(struct str *s);

static void take_field(struct str *s, json_t *object)
{
	char name[64];
	const struct str word = take_word(s);
	const bool optional = take(s, "?");
	CHECK(take(s, ":") && word.n < sizeof(name));
	memcpy(name, word.p, word.n);
	name[word.n] = 0;
	json_t *type = take_type(s);
	if (str_is(word, "*")) {
		json_object_set_new(object, "additionalProperties", type);
		return;
	}
	json_object_set_new(json_object_get(object, "properties"), name, type);
	if (!optional)
		json_array_append_new(json_object_get(object, "required"), json_string(name));
}

/* Reads fields up to the end of the text or to the "}" that ends them. */
static void take_fields(struct str *s, json_t *object)
{
	do {
		if (take(s, "...")) {
			const struct shape *inside = find_shape(take_word(s));
			CHECK(inside);
			struct str fields = str_of(inside->fields);
			take_fields(&fields, object);
		} else {
			take_field(s, object);
		}
	} while (take(s, ","));
}

static json_t *object_of(struct str *s)
{
	json_t *object = json_pack("{s:s, s:{}, s:[], s:b}", "type", "object", "properties",
				   "required", "additionalProperties", 0);
	CHECK(object != NULL);
	take_fields(s, object);
	return object;
}

static json_t *named(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_is(word, known[i].word))
			return json_pack("{s:s*, s:s*}", "type", known[i].type,
					 known[i].key ? known[i].key : "format", known[i].value);
	const struct shape *shape = find_shape(word);
	return shape ? json_pack("{s:s+}", "$ref", "#/components/schemas/", shape->name) : NULL;
}

/* One alternative; NULL: it was a word that is said as it is, which went to words. */
static json_t *take_one(struct str *s, json_t *words)
{
	if (take(s, "[")) {
		json_t *list = json_pack("{s:s, s:o}", "type", "array", "items", take_type(s));
		CHECK(take(s, "]"));
		return list;
	}
	if (take(s, "{")) {
		json_t *object = object_of(s);
		CHECK(take(s, "}"));
		return object;
	}
	const struct str word = take_word(s);
	json_t *type = named(word);
	if (!type)
		json_array_append_new(words, json_stringn(word.p, word.n));
	return type;
}

static json_t *take_type(struct str *s)
{
	json_t *any = json_array();
	json_t *words = json_array();
	do {
		json_t *one = take_one(s, words);
		if (one)
			json_array_append_new(any, one);
	} while (take(s, "|"));
	if (json_array_size(words))
		json_array_append_new(any,
				      json_pack("{s:s, s:O}", "type", "string", "enum", words));
	json_decref(words);
	if (json_array_size(any) > 1)
		return json_pack("{s:o}", "anyOf", any);
	json_t *only = json_incref(json_array_get(any, 0));
	json_decref(any);
	return only;
}

static json_t *whole(const char *fields)
{
	struct str s = str_of(fields);
	json_t *object = object_of(&s);
	CHECK(str_trim(s).n == 0);
	return object;
}

json_t *schema_shapes(void)
{
	json_t *all = json_object();
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		json_object_set_new(all, shapes[i].name, whole(shapes[i].fields));
	return all;
}

json_t *schema_result(enum op op)
{
	CHECK(op < OP_COUNT);
	const char *fields = rows[row_of[op]].fields;
	return fields ? whole(fields) : NULL;
}

const char *schema_summary(enum op op)
{
	CHECK(op < OP_COUNT);
	return rows[row_of[op]].summary;
}
