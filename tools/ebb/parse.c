/* A command line against its command's table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* --name=value, --name value, -n value. */
typedef struct Word {
  const char *name; /* without dashes */
  size_t length;
  const char *attached; /* behind '=', or NULL */
  bool letter;
} Word;

static Word split(const char *text) {
  Word word = {.letter = text[1] != '-'};
  word.name = text + (word.letter ? 1 : 2);
  const char *equals = strchr(word.name, '=');
  word.length = equals ? (size_t)(equals - word.name) : strlen(word.name);
  word.attached = equals ? equals + 1 : NULL;
  return word;
}

static bool is(const Word *word, const char *name, char letter) {
  if (word->letter) return letter && word->length == 1 && word->name[0] == letter;
  return strlen(name) == word->length && strncmp(word->name, name, word->length) == 0;
}

static int find(const CliCommand *command, const Word *word) {
  for (int i = 0; i < command->n_options; i++)
    if (is(word, command->options[i].name, command->options[i].letter)) return i;
  return -1;
}

static EbbStatus unknown_option(CliArguments *arguments, const Word *word) {
  char wanted[128];
  snprintf(wanted, sizeof wanted, "%.*s", (int)word->length, word->name);
  const char *dashes = word->letter ? "-" : "--";
  CliNearest nearest = {.wanted = wanted};
  for (int i = 0; i < arguments->command->n_options; i++)
    cli_nearest(&nearest, arguments->command->options[i].name);
  cli_nearest(&nearest, "help");
  if (!nearest.name) return cli_misuse(arguments, "%s has no option %s%s", arguments->path, dashes, wanted);
  return cli_misuse(arguments, "%s has no option %s%s; did you mean --%s?", arguments->path, dashes, wanted,
                    nearest.name);
}

static EbbStatus set_integer(CliArguments *arguments, const CliOption *option, const char *text,
                             CliValue *value) {
  char *end = NULL;
  errno = 0;
  long long number = strtoll(text, &end, 10);
  bool valid = end != text && !*end && !errno && number >= option->min && number <= option->max;
  value->integer = number;
  return valid ? EBB_OK
               : cli_misuse(arguments, "--%s is '%s'; it takes a whole number from %lld to %lld",
                            option->name, text, (long long)option->min, (long long)option->max);
}

static EbbStatus set_choice(CliArguments *arguments, const CliOption *option, const char *text,
                            CliValue *value) {
  const char *at = option->choices;
  for (int64_t index = 0; *at; index++) {
    size_t length = strcspn(at, "|");
    value->integer = index;
    if (strlen(text) == length && strncmp(at, text, length) == 0) return EBB_OK;
    at += length + (at[length] == '|');
  }
  return cli_misuse(arguments, "--%s is '%s'; it takes one of %s", option->name, text, option->choices);
}

static EbbStatus add_list(const char *text, CliValue *value) {
  int parts = 1;
  for (const char *at = text; *at; at++) parts += *at == ',';
  char **grown = realloc((void *)value->list, (size_t)(value->n_list + parts) * sizeof *value->list);
  if (grown) value->list = grown;
  for (const char *at = text; grown && parts > 0; parts--) {
    const size_t length = strcspn(at, ",");
    char *part = strndup(at, length);
    if (!part) break;
    value->list[value->n_list++] = part;
    at += length + (at[length] == ',');
  }
  return parts ? ebb_fail(EBB_MEMORY, "no memory for the list '%s'", text) : EBB_OK;
}

static EbbStatus set(CliArguments *arguments, const CliOption *option, const char *text, CliValue *value) {
  value->text = text;
  if (option->kind == CLI_LIST) return add_list(text, value);
  if (option->kind == CLI_INTEGER) return set_integer(arguments, option, text, value);
  return option->kind == CLI_CHOICE ? set_choice(arguments, option, text, value) : EBB_OK;
}

static EbbStatus take_option(CliArguments *arguments, const char *text, const char *next, bool *took_next) {
  Word word = split(text);
  if (is(&word, "help", 'h') && !word.attached) {
    arguments->wants_help = true;
    return EBB_OK;
  }
  int index = find(arguments->command, &word);
  if (index < 0) return unknown_option(arguments, &word);
  const CliOption *option = &arguments->command->options[index];
  CliValue *value = &arguments->value[index];
  if (value->given && option->kind != CLI_LIST)
    return cli_misuse(arguments, "--%s is given twice", option->name);
  value->given = true;
  if (option->kind == CLI_FLAG) {
    value->flag = true;
    return word.attached ? cli_misuse(arguments, "--%s takes no value", option->name) : EBB_OK;
  }
  *took_next = !word.attached;
  const char *given = word.attached ? word.attached : next;
  if (!given) return cli_misuse(arguments, "--%s needs a value: %s", option->name, option->value);
  return set(arguments, option, given, value);
}

/* key=value; a path such as runs/lr=0.1/best.safetensors is none. */
static bool is_setting(const char *word) {
  size_t key = strcspn(word, "=/");
  return key > 0 && word[key] == '=';
}

static EbbStatus set_defaults(CliArguments *arguments) {
  for (int i = 0; i < arguments->command->n_options; i++) {
    const CliOption *option = &arguments->command->options[i];
    if (option->initial) EBB_TRY(set(arguments, option, option->initial, &arguments->value[i]));
  }
  return EBB_OK;
}

static EbbStatus check_operands(CliArguments *arguments) {
  const CliCommand *command = arguments->command;
  if (arguments->n_operands < command->least)
    return cli_misuse(arguments, "%s needs %s", arguments->path, command->operand);
  if (arguments->n_operands <= command->most) return EBB_OK;
  const char *extra = arguments->operand[command->most];
  if (command->settings && !command->most)
    return cli_misuse(arguments, "%s takes KEY=VALUE and options, not '%s'", arguments->path, extra);
  return cli_misuse(arguments, "%s does not take '%s'", arguments->path, extra);
}

EbbStatus cli_parse(CliArguments *arguments, int n_words, char **words) {
  EBB_TRY(set_defaults(arguments));
  bool options_end = false;
  for (int i = 0; i < n_words; i++) {
    bool took_next = false;
    bool option = !options_end && words[i][0] == '-' && words[i][1];
    if (option && !strcmp(words[i], "--")) {
      options_end = true;
    } else if (option) {
      EBB_TRY(take_option(arguments, words[i], i + 1 < n_words ? words[i + 1] : NULL, &took_next));
    } else if (arguments->command->settings && is_setting(words[i])) {
      arguments->setting[arguments->n_settings++] = words[i];
    } else {
      arguments->operand[arguments->n_operands++] = words[i];
    }
    i += took_next;
  }
  return arguments->wants_help ? EBB_OK : check_operands(arguments);
}
