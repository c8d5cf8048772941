/*
 * A plugin of mosquitto: who may sign in, by the lines `user:hash` of one file.
 *
 * mosquitto itself reads such a file at its start and at SIGHUP. At the signal 2.0.21 also checks
 * sessions whose clients are away; what it does to those that fail ends in memory that is used after
 * it was freed (docs/decisions/0011-identities-in-a-password-file.md). Here the file is read anew as
 * soon as another one is put in its place, without a signal; whose line is another one, or gone, is
 * disconnected.
 *
 * Compiled by tcc without any header: what is used of mosquitto, libcrypto and libc is declared here,
 * and found in the process that loads this. Hashes are of PBKDF2 with SHA-512, `$7$rounds$salt$digest`
 * (db/broker_identities.py). Needs Linux (inotify).
 */

typedef unsigned char byte;
typedef unsigned int u32;
typedef unsigned long size_t;

struct option { char *key, *value; };
struct basic_auth { void *future; void *client; char *username, *password; void *future2[4]; };
typedef int callback(int event, void *data, void *userdata);

extern int mosquitto_callback_register(void *, int event, callback *, const void *, void *);
extern int mosquitto_callback_unregister(void *, int event, callback *, const void *);
extern int mosquitto_kick_client_by_username(const char *username, _Bool with_will);
extern void mosquitto_log_printf(int level, const char *format, ...);
extern const void *EVP_sha512(void);
extern int PKCS5_PBKDF2_HMAC(const char *password, int length, const byte *salt, int salt_length,
                             int rounds, const void *digest, int key_length, byte *key);
extern int CRYPTO_memcmp(const void *, const void *, size_t);
extern int open(const char *path, int flags, ...);
extern long read(int file, void *to, size_t size);
extern int close(int file);
extern int inotify_init1(int flags);
extern int inotify_add_watch(int file, const char *path, u32 mask);
extern void *malloc(size_t), *calloc(size_t, size_t), *realloc(void *, size_t);
extern void free(void *);
extern char *strchr(const char *, int), *strrchr(const char *, int), *strdup(const char *);
extern int strcmp(const char *, const char *), atoi(const char *);
extern size_t strlen(const char *);

enum { SUCCESS = 0, NO_MEMORY = 1, INVALID = 3, REFUSED = 11 };
enum { EVENT_BASIC_AUTH = 3, EVENT_TICK = 9 };
enum { LOG_NOTICE = 2, LOG_ERROR = 8 };
enum { NONBLOCKING = 04000, CLOSE_ON_EXEC = 02000000, RENAMED_TO = 0x80, WRITTEN = 0x8,
       OVERFLOWED = 0x4000 };
enum { PLUGIN_VERSION = 5, SALT_BYTES = 12, DIGEST_BYTES = 64, MOST_ROUNDS = 1000000 };

struct line { const char *user, *hash; };

/* Lines by user: open addressing, a power of two, at least half of it empty. */
struct lines { char *text; struct line *slots; size_t mask, count; };

struct event { int watch; u32 mask, cookie, length; char name[]; };

static void *plugin;
static char *path;
static const char *name;
static int changes = -1;
static struct lines known;

static size_t place_of(const struct lines *lines, const char *user)
{
    size_t hash = 2166136261u, place;
    const char *each;

    for (each = user; *each; each++)
        hash = (hash ^ (byte)*each) * 16777619u;
    for (place = hash & lines->mask; lines->slots[place].user; place = (place + 1) & lines->mask)
        if (strcmp(lines->slots[place].user, user) == 0)
            break;
    return place;
}

static const char *hash_of(const struct lines *lines, const char *user)
{
    return lines->slots ? lines->slots[place_of(lines, user)].hash : 0;
}

static void forget(struct lines *lines)
{
    free(lines->text);
    free(lines->slots);
}

/* The file as a text; 0 where it cannot be read. */
static char *text_of_file(void)
{
    size_t size = 0, room = 1 << 16;
    char *text = malloc(room + 1), *larger;
    int file = open(path, CLOSE_ON_EXEC);
    long got = -1;

    while (text && file >= 0 && (got = read(file, text + size, room - size)) > 0) {
        size += got;
        if (size == room) {
            room *= 2;
            larger = realloc(text, room + 1);
            if (!larger) {
                got = -1;
                break;
            }
            text = larger;
        }
    }
    if (file >= 0)
        close(file);
    if (got < 0) {
        free(text);
        return 0;
    }
    text[size] = 0;
    return text;
}

/* Of two lines of one user the last one counts; a line without a colon is none. */
static int read_lines(struct lines *found)
{
    char *text = text_of_file(), *at, *end, *colon;
    size_t most = 1, room = 2, place;

    if (!text)
        return INVALID;
    for (at = text; (at = strchr(at, '\n')); at++)
        most++;
    while (room < 2 * most)
        room *= 2;
    found->text = text;
    found->mask = room - 1;
    found->count = 0;
    found->slots = calloc(room, sizeof(struct line));
    if (!found->slots) {
        free(text);
        return NO_MEMORY;
    }
    for (at = text; at; at = end) {
        end = strchr(at, '\n');
        if (end)
            *end++ = 0;
        colon = strchr(at, ':');
        if (!colon)
            continue;
        *colon = 0;
        place = place_of(found, at);
        found->count += !found->slots[place].user;
        found->slots[place].user = at;
        found->slots[place].hash = colon + 1;
    }
    return SUCCESS;
}

/* Takes the file as it is now; where that fails, what was known still holds. */
static void learn(void)
{
    struct lines before = known, found;
    size_t place;
    const char *hash;

    if (read_lines(&found) != SUCCESS) {
        mosquitto_log_printf(LOG_ERROR, "Error: cannot read %s; the identities stay as they were.", path);
        return;
    }
    known = found;
    for (place = 0; before.slots && place <= before.mask; place++) {
        if (!before.slots[place].user)
            continue;
        hash = hash_of(&known, before.slots[place].user);
        if (!hash || strcmp(hash, before.slots[place].hash) != 0)
            mosquitto_kick_client_by_username(before.slots[place].user, 0);
    }
    forget(&before);
    mosquitto_log_printf(LOG_NOTICE, "%d identities read.", (int)known.count);
}

/* At each turn of mosquitto's loop, so no more than a look whether there is news. */
static int on_tick(int event, void *data, void *userdata)
{
    byte news[4096] __attribute__((aligned(8)));
    struct event *each;
    long size, at;
    int is_ours = 0;

    while ((size = read(changes, news, sizeof news)) > 0)
        for (at = 0; at < size; at += sizeof(struct event) + each->length) {
            each = (struct event *)(news + at);
            if (each->mask & OVERFLOWED || (each->length && strcmp(each->name, name) == 0))
                is_ours = 1;
        }
    if (is_ours)
        learn();
    return SUCCESS;
}

static int value_of(char digit)
{
    if (digit >= 'A' && digit <= 'Z') return digit - 'A';
    if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9') return digit - '0' + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* Base64 up to `end`: whether it gives just so many bytes. */
static int decode(const char *text, char end, byte *to, int length)
{
    u32 bits = 0;
    int count = 0, size = 0, value;

    for (; (value = value_of(*text)) >= 0; text++) {
        bits = bits << 6 | value;
        if ((count += 6) >= 8) {
            if (size == length)
                return 0;
            to[size++] = bits >> (count -= 8);
        }
    }
    while (*text == '=')
        text++;
    return *text == end && size == length;
}

static int is_good(const char *hash, const char *password)
{
    byte salt[SALT_BYTES], wanted[DIGEST_BYTES], got[DIGEST_BYTES];
    const char *digest;
    int rounds;

    if (hash[0] != '$' || hash[1] != '7' || hash[2] != '$')
        return 0;
    rounds = atoi(hash += 3);
    if (rounds < 1 || rounds > MOST_ROUNDS || !(hash = strchr(hash, '$')))
        return 0;
    if (!(digest = strchr(++hash, '$')) || !decode(hash, '$', salt, SALT_BYTES)
        || !decode(digest + 1, 0, wanted, DIGEST_BYTES))
        return 0;
    return PKCS5_PBKDF2_HMAC(password, strlen(password), salt, SALT_BYTES, rounds, EVP_sha512(),
                             DIGEST_BYTES, got) == 1
        && CRYPTO_memcmp(got, wanted, DIGEST_BYTES) == 0;
}

static int on_basic_auth(int event, void *data, void *userdata)
{
    struct basic_auth *asked = data;
    const char *hash = asked->username ? hash_of(&known, asked->username) : 0;

    return hash && asked->password && is_good(hash, asked->password) ? SUCCESS : REFUSED;
}

static int watch_folder(void)
{
    char *folder = strdup(path), *slash;

    if (!folder)
        return NO_MEMORY;
    slash = strrchr(folder, '/');
    if (!slash || slash == folder) {
        free(folder);
        return INVALID;
    }
    *slash = 0;
    name = path + (slash - folder) + 1;
    changes = inotify_init1(NONBLOCKING | CLOSE_ON_EXEC);
    if (changes < 0 || inotify_add_watch(changes, folder, RENAMED_TO | WRITTEN) < 0) {
        free(folder);
        return INVALID;
    }
    free(folder);
    return SUCCESS;
}

int mosquitto_plugin_version(int count, const int *versions)
{
    return PLUGIN_VERSION;
}

/* Option `passwords`: the whole path of the file. */
int mosquitto_plugin_init(void *identifier, void **userdata, struct option *options, int count)
{
    int number, failed;

    plugin = identifier;
    for (number = 0; number < count; number++)
        if (strcmp(options[number].key, "passwords") == 0)
            path = strdup(options[number].value);
    if (!path || watch_folder() != SUCCESS) {
        mosquitto_log_printf(LOG_ERROR, "Error: plugin_opt_passwords must be the path of a file in a"
                                        " folder that can be watched.");
        return INVALID;
    }
    learn();  /* after the watch has begun: no change is missed */
    failed = mosquitto_callback_register(plugin, EVENT_BASIC_AUTH, on_basic_auth, 0, 0);
    return failed ? failed : mosquitto_callback_register(plugin, EVENT_TICK, on_tick, 0, 0);
}

int mosquitto_plugin_cleanup(void *userdata, struct option *options, int count)
{
    mosquitto_callback_unregister(plugin, EVENT_BASIC_AUTH, on_basic_auth, 0);
    mosquitto_callback_unregister(plugin, EVENT_TICK, on_tick, 0);
    close(changes);
    forget(&known);
    free(path);
    return SUCCESS;
}
