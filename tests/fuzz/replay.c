/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for libFuzzer in a normal build: runs a fuzz target over the files named as arguments,
 * or over its corpus $CORPUS/X for the program fuzz_X. An empty corpus is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return -1;
	}
	fseek(f, 0, SEEK_END);
	const long n = ftell(f);
	rewind(f);
	/* A heap block of the exact size, so that a sanitizer sees a read behind it. */
	uint8_t *data = malloc(n > 0 ? (size_t)n : 1);
	const int ok = n >= 0 && data && fread(data, 1, (size_t)n, f) == (size_t)n;
	fclose(f);
	if (ok)
		LLVMFuzzerTestOneInput(data, (size_t)n);
	free(data);
	return ok ? 0 : -1;
}

static int replay_corpus(const char *target)
{
	char dir[4096];
	const char *root = getenv("CORPUS");
	snprintf(dir, sizeof(dir), "%s/%s", root ? root : "corpus", target);
	DIR *d = opendir(dir);
	if (!d) {
		perror(dir);
		return 1;
	}
	int files = 0;
	int failed = 0;
	for (const struct dirent *e; (e = readdir(d));) {
		char path[8192];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		failed += replay(path) != 0;
		files++;
	}
	closedir(d);
	printf("%s: %d files replayed, %d unreadable\n", target, files, failed);
	return files == 0 || failed;
}

int main(int argc, char **argv)
{
	int failed = 0;
	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]) != 0;
	if (argc > 1)
		return failed;
	const char *name = strstr(argv[0], "fuzz_");
	for (const char *next; name && (next = strstr(name + 1, "fuzz_"));)
		name = next;
	if (!name) {
		fprintf(stderr, "%s: the program's name must be fuzz_X\n", argv[0]);
		return 1;
	}
	return replay_corpus(name + strlen("fuzz_"));
}
