/* SPDX-License-Identifier: Apache-2.0
 *
 * The description of the API: see openapi.h. Arguments, levels and statuses come from the tables by
 * which requests are judged, so that they cannot differ from what the gateway does.
 */
#include "daemon/web/openapi.h"
#include "config.h"
#include "daemon/base/check.h"
#include "daemon/base/mem.h"
#include "daemon/web/bundle.h"
#include "daemon/web/json.h"
#include "daemon/web/router.h"
#include "daemon/web/schema.h"
#include "daemon/web/web.h"

#include <stdio.h>
#include <stdlib.h>

static const char about[] =
	"Everything that the gateway's interface and its command line do. Programs send an API "
	"token "
	"(Authorization: Bearer); browsers have the cookie of a session, and what changes "
	"something "
	"repeats the field page of the session in the header X-Gatehouse-Page. Over the control "
	"socket the user of the system decides. x-level is the least level that may. "
	"Lists that take after and limit answer one page: give next as after until it is null. "
	"What has a version gives it as ETag too; with If-Match, or the argument version, a change "
	"is "
	"made only if nobody made another one since. "
	"Whatever GET answers HEAD does without the content. Accept is not looked at: answers are "
	"JSON. "
	"A body of another Content-Type than application/json, or with a Content-Encoding, is "
	"refused "
	"(415). Fields of the head that are read once must come once. "
	"Lengths are bytes of UTF-8. Errors are problem documents (RFC 9457); field names the "
	"argument that is wrong.";

static json_t *ref(const char *kind, const char *name)
{
	return json_pack("{s:s++}", "$ref", "#/components/", kind, name);
}

static json_t *content(const char *type, json_t *schema)
{
	return json_pack("{s:{s:o}}", type, "schema", schema);
}

/* ---- arguments ---- */

/* What the server takes from the head of the request is no argument for the caller. */
static bool is_given(const struct op_arg *a)
{
	return strcmp(a->name, "agent") != 0;
}

static json_t *argument(const struct op_arg *a)
{
	const json_int_t max = (json_int_t)a->max;
	switch (a->type) {
	case ARG_INT:
		return json_pack("{s:s, s:i, s:I}", "type", "integer", "minimum", 0, "maximum",
				 max);
	case ARG_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case ARG_STRS:
		return json_pack("{s:s, s:i, s:{s:s, s:i, s:I}}", "type", "array", "maxItems",
				 JSON_LIST_MAX, "items", "type", "string", "minLength", 1,
				 "maxLength", max);
	case ARG_STATE:
		return json_pack("{s:s}", "type", "object");
	default:
		return json_pack("{s:s, s:I}", "type", "string", "maxLength", max);
	}
}

static bool in_path(const char *path, const char *name)
{
	char segment[80];
	snprintf(segment, sizeof(segment), "{%s}", name);
	return strstr(path, segment) != NULL;
}

static bool has_body(const char *method)
{
	return strcmp(method, "GET") != 0 && strcmp(method, "DELETE") != 0;
}

static bool has_version(const struct op_spec *spec)
{
	for (const struct op_arg *a = spec->args; a->name; a++)
		if (strcmp(a->name, "version") == 0)
			return true;
	return false;
}

static json_t *parameters(const char *method, const char *path, const struct op_spec *spec)
{
	json_t *list = json_array();
	for (const struct op_arg *a = spec->args; a->name; a++) {
		const bool path_has = in_path(path, a->name);
		if (!is_given(a) || (!path_has && has_body(method)))
			continue;
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", a->name, "in",
						path_has ? "path" : "query", "required",
						path_has || a->need == REQUIRED, "description",
						a->text, "schema", argument(a)));
	}
	if (strcmp(method, "POST") == 0 && spec->effect == CHANGES && spec->level > NOBODY)
		json_array_append_new(list, ref("parameters/", "IdempotencyKey"));
	if (has_version(spec))
		json_array_append_new(list, ref("parameters/", "IfMatch"));
	return list;
}

static void put_fields(json_t *object, const char *path, const struct op_spec *spec,
		       const char *but)
{
	json_t *properties = json_object_get(object, "properties");
	json_t *required = json_object_get(object, "required");
	for (const struct op_arg *a = spec->args; a->name; a++) {
		if (!is_given(a) || in_path(path, a->name) || strcmp(a->name, but) == 0)
			continue;
		json_t *schema = argument(a);
		json_object_set_new(schema, "description", json_string(a->text));
		json_object_set_new(properties, a->name, schema);
		if (a->need == REQUIRED)
			json_array_append_new(required, json_string(a->name));
	}
}

static json_t *empty_object(void)
{
	return json_pack("{s:s, s:{}, s:[], s:b}", "type", "object", "properties", "required",
			 "additionalProperties", 0);
}

/* NULL: there is nothing to say in a body. */
static json_t *body(const char *path, const struct op_spec *spec)
{
	json_t *object = empty_object();
	put_fields(object, path, spec, "");
	const bool must = json_array_size(json_object_get(object, "required")) > 0;
	if (json_object_size(json_object_get(object, "properties")) == 0) {
		json_decref(object);
		return NULL;
	}
	return json_pack("{s:b, s:o}", "required", must, "content",
			 content("application/json", object));
}

/* ---- operations ---- */

static json_t *security(enum op_level level, bool changes)
{
	if (level == NOBODY)
		return json_array();
	return changes ? json_pack("[{s:[]}, {s:[], s:[]}]", "token", "session", "page")
		       : json_pack("[{s:[]}, {s:[]}]", "token", "session");
}

static json_t *answer_of(enum op op)
{
	json_t *schema = schema_result(op);
	return schema ? content("application/json", schema)
		      : content("application/octet-stream", json_object());
}

static json_t *responses(enum op op, unsigned status)
{
	char code[12];
	snprintf(code, sizeof(code), "%u", status);
	json_t *all = json_pack("{s:{s:s, s:o}, s:o, s:o}", code, "description", "It worked",
				"content", answer_of(op), "400", ref("responses/", "Wrong"),
				"default", ref("responses/", "Problem"));
	if (op_spec(op)->level != NOBODY) {
		json_object_set_new(all, "401", ref("responses/", "NoLogin"));
		json_object_set_new(all, "403", ref("responses/", "Forbidden"));
	}
	return all;
}

static json_t *operation(const char *method, const char *path, enum op op, unsigned status)
{
	const struct op_spec *spec = op_spec(op);
	const bool changes = spec->effect == CHANGES;
	const struct str noun = str_make(spec->name, strcspn(spec->name, "."));
	json_t *o =
		json_pack("{s:s, s:s, s:[s%], s:s, s:s, s:o, s:o, s:o}", "operationId", spec->name,
			  "summary", schema_summary(op), "tags", noun.p, noun.n, "x-level",
			  op_level_name(spec->level), "x-effect", changes ? "changes" : "reads",
			  "security", security(spec->level, changes), "parameters",
			  parameters(method, path, spec), "responses", responses(op, status));
	json_t *said = has_body(method) ? body(path, spec) : NULL;
	if (said)
		json_object_set_new(o, "requestBody", said);
	json_object_set_new(o, "description",
			    spec->level == NOBODY ? json_string("For everyone, without a login.")
						  : json_sprintf("Needs the level %s.",
								 op_level_name(spec->level)));
	return o;
}

static void put_operation(json_t *paths, const char *method, const char *path, json_t *o)
{
	char key[8] = {0};
	json_t *item = json_object_get(paths, path);
	if (!item) {
		item = json_object();
		json_object_set_new(paths, path, item);
	}
	for (size_t i = 0; method[i] && i < sizeof(key) - 1; i++)
		key[i] = (char)(method[i] | 0x20);
	json_object_set_new(item, key, o);
}

/* parameters: a new reference, or NULL. */
static json_t *stream_operation(const char *id, const char *summary, json_t *parameters)
{
	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:o, s:{s:{s:s, s:o}, s:o, s:o}}", "operationId", id, "summary",
		summary, "x-level", "viewer", "security", security(VIEWER, false), "responses",
		"200", "description", "A stream without an end", "content",
		content("text/event-stream", json_pack("{s:s}", "type", "string")), "401",
		ref("responses/", "NoLogin"), "403", ref("responses/", "Forbidden"));
	if (parameters)
		json_object_set_new(o, "parameters", parameters);
	return o;
}

/* A file with a private key, made of an operation of the tables (bundle.h). */
static json_t *bundle_operation(const char *id, const char *summary, const char *path, enum op op)
{
	json_t *object = empty_object();
	put_fields(object, path, op_spec(op), "csr");
	put_fields(object, path, bundle_own_spec(), "");
	const bool must = json_array_size(json_object_get(object, "required")) > 0;
	json_t *file = json_pack("{s:{s:{s:s}}, s:{s:{s:s}}}", "application/zip", "schema",
				 "contentMediaType", "application/zip", "application/pkcs12",
				 "schema", "contentMediaType", "application/pkcs12");
	json_t *all =
		json_pack("{s:{s:s, s:o}, s:o, s:o, s:o, s:o}", "201", "description",
			  "The file, given once: nothing of it is kept", "content", file, "400",
			  ref("responses/", "Wrong"), "401", ref("responses/", "NoLogin"), "403",
			  ref("responses/", "Forbidden"), "default", ref("responses/", "Problem"));
	return json_pack("{s:s, s:s, s:[s], s:s, s:s, s:o, s:o, s:{s:b, s:o}, s:o}", "operationId",
			 id, "summary", summary, "tags", "bundle", "x-level",
			 op_level_name(op_spec(op)->level), "x-effect", "changes", "security",
			 security(op_spec(op)->level, true), "parameters",
			 parameters("POST", path, op_spec(op)), "requestBody", "required", must,
			 "content", content("application/json", object), "responses", all);
}

/* What is no operation of the tables: pages.def. */
static void put_pages(json_t *paths)
{
	put_operation(paths, "GET", OPENAPI_PATH,
		      json_pack("{s:s, s:s, s:s, s:[], s:{s:{s:s, s:o}, s:o}}", "operationId",
				"openapi.show", "summary", "This description", "x-level", "nobody",
				"security", "responses", "200", "description", "OpenAPI 3.1",
				"content", content("application/json", json_object()), "default",
				ref("responses/", "Problem")));
	put_operation(paths, "POST", BUNDLES_PATH,
		      bundle_operation("device.bundle",
				       "Adds a device whose key the gateway makes: its bundle",
				       BUNDLES_PATH, OP_DEVICE_ADD));
	put_operation(paths, "POST", DEVICE_BUNDLE_PATH,
		      bundle_operation("cert.bundle",
				       "A further key and certificate for a device: its bundle",
				       DEVICE_BUNDLE_PATH, OP_CERT_ADD));
	put_operation(paths, "GET", "/api/v1/stream",
		      stream_operation("stream.show",
				       "Events and status as they come (Server-Sent Events)",
				       NULL));
	put_operation(paths, "GET", "/api/v1/watches/{id}/stream",
		      stream_operation("watch.stream",
				       "The messages of a watch as they come (Server-Sent Events)",
				       json_pack("[{s:s, s:s, s:b, s:{s:s, s:i}}]", "name", "id",
						 "in", "path", "required", 1, "schema", "type",
						 "integer", "minimum", 0)));
}

/* ---- the document ---- */

static json_t *problem_response(const char *description)
{
	return json_pack("{s:s, s:o}", "description", description, "content",
			 content("application/problem+json", ref("schemas/", "Problem")));
}

static json_t *problem_schema(void)
{
	return json_pack("{s:s, s:[s,s,s,s], s:b, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, "
			 "s:{s:s, s:s}}}",
			 "type", "object", "required", "type", "title", "status", "detail",
			 "additionalProperties", 0, "properties", "type", "type", "string", "title",
			 "type", "string", "status", "type", "integer", "detail", "type", "string",
			 "field", "type", "string", "description", "the argument that is wrong");
}

static json_t *components(void)
{
	json_t *schemas = schema_shapes();
	json_object_set_new(schemas, "Problem", problem_schema());
	json_t *answers = json_pack(
		"{s:o, s:o, s:o, s:o}", "Wrong", problem_response("An argument is wrong"),
		"NoLogin", problem_response("Log in first"), "Forbidden",
		problem_response("The level or the token is not enough"), "Problem",
		problem_response("404 no such object, 409 conflict, 412 it has another version, "
				 "422 refused by policy, 429 too "
				 "many, 503 a process is away, 500 an error of the gateway"));
	json_t *schemes = json_pack(
		"{s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s}}", "token",
		"type", "http", "scheme", "bearer", "description",
		"An API token, as token.add gives it once", "session", "type", "apiKey", "in",
		"cookie", "name", "__Host-gatehouse", "description",
		"The cookie that session.add sets", "page", "type", "apiKey", "in", "header",
		"name", "X-Gatehouse-Page", "description",
		"The field page of the answer of session.add and session.show: with a session, for "
		"what changes something");
	json_t *condition = json_pack(
		"{s:s, s:s, s:b, s:s, s:{s:s}}", "name", "If-Match", "in", "header", "required", 0,
		"description",
		"The ETag of what is to be changed: 412 when somebody else has changed it since. "
		"The argument version says the same",
		"schema", "type", "string");
	json_t *key = json_pack(
		"{s:s, s:s, s:b, s:s, s:{s:s, s:i, s:i}}", "name", "Idempotency-Key", "in",
		"header", "required", 0, "description",
		"A name for this request, such as a UUID: sent again by the same caller within 24 "
		"hours it is not done again but answered as the first time "
		"(Idempotency-Replayed: true). 512 answers are kept; beyond that the oldest goes "
		"of "
		"the caller who has most. 422: the key was used for another request. 409: the "
		"first one is not answered yet, or the store gave no answer to it, and nobody "
		"knows "
		"whether it was done, or its answer had a private key, which is given once. What "
		"was refused is not kept",
		"schema", "type", "string", "minLength", 1, "maxLength", REPEAT_KEY_MAX);
	return json_pack("{s:o, s:o, s:o, s:{s:o, s:o}}", "schemas", schemas, "responses", answers,
			 "securitySchemes", schemes, "parameters", "IdempotencyKey", key, "IfMatch",
			 condition);
}

void openapi_print(struct buf *out)
{
	json_t *paths = json_object();
	const struct route *r;
	for (size_t i = 0; (r = router_route(i)); i++)
		put_operation(paths, r->method, r->path,
			      operation(r->method, r->path, r->op, r->status));
	put_pages(paths);
	json_t *all = json_pack("{s:s, s:{s:s, s:s, s:s, s:{s:s, s:s}}, s:[{s:s, s:s}], s:o, s:o}",
				"openapi", "3.1.0", "info", "title", "Gatehouse", "version",
				PACKAGE_VERSION, "description", about, "license", "name",
				"Apache License 2.0", "identifier", "Apache-2.0", "servers", "url",
				"/", "description", "the gateway that gives this description",
				"paths", paths, "components", components());
	CHECK(all != NULL);
	AUTO_CHAR text = json_dumps(all, JSON_COMPACT);
	CHECK(text != NULL);
	json_decref(all);
	buf_puts(out, text);
}

/* FNV-1a: a name for the content, for caches; nothing is guarded by it. */
static uint64_t fingerprint(struct str text)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (unsigned char)text.p[i]) * 0x100000001b3u;
	return h;
}

static void answer(struct http_request *r)
{
	static struct buf text;
	static char etag[20];
	if (text.n == 0) {
		openapi_print(&text);
		snprintf(etag, sizeof(etag), "\"%016llx\"",
			 (unsigned long long)fingerprint(buf_view(&text)));
	}
	http_add_header(r, "ETag", etag);
	const bool known = str_is(http_header(r, "If-None-Match"), etag);
	http_reply_static(r, known ? 304 : 200, "application/json",
			  known ? STR("") : buf_view(&text), "no-cache");
}

bool openapi_handle(struct http_request *r)
{
	if (!str_is(http_path(r), OPENAPI_PATH))
		return false;
	if (strcmp(http_method(r), "GET") != 0 && strcmp(http_method(r), "HEAD") != 0)
		api_problem(r, 405, NULL, "this resource is only read", "GET, HEAD");
	else
		answer(r);
	return true;
}
