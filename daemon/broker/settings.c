/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots of the configuration: see settings.h.
 */
#include "daemon/broker/settings.h"
#include "daemon/base/mem.h"

#include <stdlib.h>

enum { ADDRESS_SHARE = 8 /* of the memory before CONNECT: this part for one address */ };

struct settings *settings_new(struct config *config)
{
	struct settings *s = mem_new(struct settings);
	ref_init(&s->ref);
	s->config = config;
	s->endpoints = config->listeners;
	s->endpoint = mem_array(struct endpoint, s->endpoints);
	for (size_t i = 0; i < s->endpoints; i++)
		s->endpoint[i].config = &config->listener[i];
	return s;
}

struct settings *settings_ref(struct settings *s)
{
	ref_get(&s->ref);
	return s;
}

void settings_unref(struct settings *s)
{
	if (!ref_put(&s->ref))
		return;
	for (size_t i = 0; i < s->endpoints; i++) {
		client_policy_unref(s->endpoint[i].policy);
		if (s->endpoint[i].credentials)
			tls_credentials_unref(s->endpoint[i].credentials);
	}
	free(s->endpoint);
	config_free(s->config);
	free(s);
}

const struct endpoint *settings_endpoint(const struct settings *s, struct str name)
{
	for (size_t i = 0; i < s->endpoints; i++)
		if (str_is(name, s->endpoint[i].config->name))
			return &s->endpoint[i];
	return NULL;
}

int64_t settings_grace(const struct settings *s)
{
	const struct config_broker *b = &s->config->broker;
	switch (b->on_expiry) {
	case CONFIG_ON_EXPIRY_GRACE:
		return (int64_t)(b->expiry_grace / 1000);
	case CONFIG_ON_EXPIRY_KEEP:
		return REGISTRY_FOR_EVER;
	default:
		return 0;
	}
}

struct limit_settings settings_limits(const struct settings *s)
{
	const struct config_broker *b = &s->config->broker;
	return (struct limit_settings){
		.connections = b->max_connections,
		.connections_per_address = b->max_connections_per_address,
		.connections_per_identity = b->max_connections_per_device,
		.half_open = b->max_half_open,
		.half_open_per_address = b->max_half_open_per_address,
		.handshakes_per_second = b->handshake_rate,
		.handshakes_per_second_per_address = b->handshake_rate_per_address,
		.pre_connect_bytes = (uint32_t)b->pre_connect_memory,
		.pre_connect_bytes_per_address = (uint32_t)b->pre_connect_memory / ADDRESS_SHARE,
		.publish_messages = b->publish_rate_per_device,
		.publish_bytes = b->publish_bytes_per_device,
	};
}
