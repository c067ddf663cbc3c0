/* SPDX-License-Identifier: Apache-2.0
 *
 * A device that uses Eclipse Paho's C library, as its owner would write it: connects, subscribes,
 * publishes to itself at one QoS, waits for every message, disconnects. The interop suite runs it.
 *
 *   paho_round URI VERSION QOS COUNT CLIENT-ID TOPIC [CA [CERTIFICATE KEY]]
 *
 * VERSION is 3 (3.1.1) or 5. The login comes from PAHO_USER and PAHO_PASSWORD when they are set.
 * Exit code 0 when each message came once, in order, unchanged; else 1 and a line that says why.
 */
#include <MQTTClient.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 10000, PAYLOAD_MAX = 64 };

struct round {
	MQTTClient client;
	bool v5;
	int qos;
	int count;
	char *topic;
};

static int failed(const char *what, int code)
{
	printf("%s failed with %d (%s)\n", what, code, MQTTClient_strerror(code));
	return 1;
}

static int connect_client(struct round *r, char **file, int files)
{
	MQTTClient_connectOptions plain = MQTTClient_connectOptions_initializer;
	MQTTClient_connectOptions five = MQTTClient_connectOptions_initializer5;
	MQTTClient_connectOptions *options = r->v5 ? &five : &plain;
	MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
	tls.enableServerCertAuth = 1;
	tls.verify = 1;
	tls.trustStore = files > 0 ? file[0] : NULL;
	tls.keyStore = files > 2 ? file[1] : NULL;
	tls.privateKey = files > 2 ? file[2] : NULL;
	options->ssl = files > 0 ? &tls : NULL;
	options->keepAliveInterval = 30;
	options->reliable = 0; /* many on the way at a time */
	options->maxInflightMessages = 100;
	options->username = getenv("PAHO_USER");
	options->password = getenv("PAHO_PASSWORD");
	if (!r->v5) {
		options->cleansession = 1;
		options->MQTTVersion = MQTTVERSION_3_1_1;
		const int code = MQTTClient_connect(r->client, options);
		return code ? failed("connect", code) : 0;
	}
	options->cleanstart = 1;
	MQTTResponse answer = MQTTClient_connect5(r->client, options, NULL, NULL);
	const int code = (int)answer.reasonCode;
	MQTTResponse_free(answer);
	return code ? failed("connect", code) : 0;
}

static int subscribe(struct round *r)
{
	int code;
	if (r->v5) {
		MQTTResponse answer =
			MQTTClient_subscribe5(r->client, r->topic, r->qos, NULL, NULL);
		code = (int)answer.reasonCode;
		MQTTResponse_free(answer);
		return code != r->qos ? failed("subscribe", code) : 0;
	}
	code = MQTTClient_subscribe(r->client, r->topic, r->qos);
	return code ? failed("subscribe", code) : 0;
}

static int publish(struct round *r, int number)
{
	char text[PAYLOAD_MAX];
	MQTTClient_deliveryToken token = 0;
	int code;
	snprintf(text, sizeof(text), "message %d", number);
	if (r->v5) {
		MQTTResponse answer = MQTTClient_publish5(r->client, r->topic, (int)strlen(text),
							  text, r->qos, 0, NULL, &token);
		code = (int)answer.reasonCode;
		MQTTResponse_free(answer);
	} else {
		code = MQTTClient_publish(r->client, r->topic, (int)strlen(text), text, r->qos, 0,
					  &token);
	}
	return code ? failed("publish", code) : 0;
}

static int expect(struct round *r, int number)
{
	char wanted[PAYLOAD_MAX];
	char *topic = NULL;
	int topic_n = 0;
	MQTTClient_message *m = NULL;
	const int code = MQTTClient_receive(r->client, &topic, &topic_n, &m, WAIT_MS);
	if (code || !m)
		return failed("receive", code);
	snprintf(wanted, sizeof(wanted), "message %d", number);
	const bool good = strcmp(topic, r->topic) == 0 && m->qos == r->qos &&
			  m->payloadlen == (int)strlen(wanted) &&
			  memcmp(m->payload, wanted, (size_t)m->payloadlen) == 0;
	if (!good)
		printf("instead of \"%s\" came \"%.*s\" with QoS %d\n", wanted, m->payloadlen,
		       (const char *)m->payload, m->qos);
	MQTTClient_freeMessage(&m);
	MQTTClient_free(topic);
	return good ? 0 : 1;
}

static int run(struct round *r, char **file, int files)
{
	int bad = connect_client(r, file, files);
	bad = bad ? bad : subscribe(r);
	for (int i = 0; !bad && i < r->count; i++)
		bad = publish(r, i);
	for (int i = 0; !bad && i < r->count; i++)
		bad = expect(r, i);
	if (bad)
		return bad;
	const int code =
		r->v5 ? MQTTClient_disconnect5(r->client, 1000, MQTTREASONCODE_SUCCESS, NULL)
		      : MQTTClient_disconnect(r->client, 1000);
	return code ? failed("disconnect", code) : 0;
}

int main(int argc, char **argv)
{
	if (argc < 7 || argc > 10) {
		fprintf(stderr, "usage: paho_round URI VERSION QOS COUNT CLIENT-ID TOPIC "
				"[CA [CERTIFICATE KEY]]\n");
		return 2;
	}
	struct round r = {
		.v5 = atoi(argv[2]) == 5,
		.qos = atoi(argv[3]),
		.count = atoi(argv[4]),
		.topic = argv[6],
	};
	MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
	options.MQTTVersion = r.v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
	const int code = MQTTClient_createWithOptions(&r.client, argv[1], argv[5],
						      MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
	if (code)
		return failed("create", code);
	const int bad = run(&r, argv + 7, argc - 7);
	MQTTClient_destroy(&r.client);
	return bad;
}
