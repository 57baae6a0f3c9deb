// SPDX-License-Identifier: MIT
// phone_words.c: the words, of the languages that chatbots speak most.
#include "redact/phone_words.h"

#include "redact/words.h"

enum { PHONE = SAYS_PHONE, VAGUE = SAYS_VAGUELY, OTHER = SAYS_OTHER };

// By their first letter, those that begin with none of a to z last, so that few are looked at; and
// in place, as most differ in their second byte. None is a blank or '*' there.
enum { INITIALS = 27, WORDS_MAX = 19, WORD_BYTES = 20 };
static const struct phone_word {
    char word[WORD_BYTES];  // words.h
    unsigned char says;     // 0: the row ends
} words[INITIALS][WORDS_MAX + 1] = {
    ['a' - 'a'] = {{"aadhaar", OTHER}, {"account*", OTHER}, {"amount*", OTHER}, {"anrufen", PHONE},
        {"appeler", PHONE}, {"appelez", PHONE}, {"article", OTHER}, {"auftrag*", OTHER}},
    ['b' - 'a'] = {{"balance", OTHER}, {"barcode", OTHER}, {"batch", OTHER}, {"bestell*", OTHER},
        {"booking*", OTHER}, {"bsn", OTHER}, {"build", OTHER}, {"bytes", OTHER}},
    ['c' - 'a'] = {{"call", PHONE}, {"called", PHONE}, {"calling", PHONE}, {"calls", PHONE},
        {"card*", OTHER}, {"case", OTHER}, {"cell", PHONE}, {"cellphone*", PHONE},
        {"cellular", PHONE}, {"cellulare", PHONE}, {"celular", PHONE}, {"claim*", OTHER},
        {"code*", OTHER}, {"commande", OTHER}, {"commit", OTHER}, {"confirmation*", OTHER},
        {"contact*", VAGUE}, {"cpf", OTHER}, {"customer", OTHER}},
    ['d' - 'a'] = {{"desk", VAGUE}, {"dial*", PHONE}, {"doi", OTHER}},
    ['e' - 'a'] = {{"ean", OTHER}, {"epoch", OTHER}, {"error*", OTHER}, {"extension", PHONE}},
    ['f' - 'a'] = {{"factura", OTHER}, {"facture", OTHER}, {"fax*", PHONE}, {"flight", OTHER}},
    ['g' - 'a'] = {{"gsm", PHONE}},
    ['h' - 'a'] = {{"handy*", PHONE}, {"hash", OTHER}, {"helpline", PHONE}, {"home", VAGUE},
        {"hotline*", PHONE}},
    ['i' - 'a'] = {{"iban", OTHER}, {"id", OTHER}, {"ids", OTHER}, {"imei", OTHER},
        {"invoice*", OTHER}, {"isbn*", OTHER}, {"issn", OTHER}, {"item*", OTHER}},
    ['k' - 'a'] = {{"komórka", PHONE}, {"kontonummer", OTHER}, {"kunden*", OTHER}},
    ['l' - 'a'] = {{"landline", PHONE}, {"licence", OTHER}, {"license", OTHER}, {"ligue", PHONE},
        {"line", VAGUE}, {"line item", OTHER}, {"lines", OTHER}, {"llamar", PHONE},
        {"llame", PHONE}},
    ['m' - 'a'] = {{"medicare", OTHER}, {"member", OTHER}, {"membership", OTHER},
        {"message", VAGUE}, {"mobil*", PHONE}, {"mobile*", PHONE}, {"model", OTHER},
        {"movil", PHONE}, {"móvil", PHONE}},
    ['n' - 'a'] = {{"nhs", OTHER}, {"npi", OTHER}, {"number*", VAGUE}, {"numer telefonu", PHONE},
        {"numero", VAGUE}, {"nummer", VAGUE}, {"numéro", VAGUE}, {"número", VAGUE}},
    ['o' - 'a'] = {{"office", VAGUE}, {"order*", OTHER}},
    ['p' - 'a'] = {{"parcel", OTHER}, {"part", OTHER}, {"passport*", OTHER}, {"pedido", OTHER},
        {"ph", VAGUE}, {"phone*", PHONE}, {"pid", OTHER}, {"pin", OTHER}, {"pmid", OTHER},
        {"policy", OTHER}, {"port", OTHER}, {"portable", PHONE}, {"price*", OTHER}, {"puh", PHONE},
        {"puhelin*", PHONE}},
    ['r' - 'a'] = {{"reach*", VAGUE}, {"receipt*", OTHER}, {"rechnung*", OTHER}, {"record", OTHER},
        {"ref", OTHER}, {"reference*", OTHER}, {"request*", OTHER}, {"ring", PHONE},
        {"room", OTHER}, {"routing*", OTHER}, {"row*", OTHER}, {"ruf", PHONE},
        {"rufnummer", PHONE}},
    ['s' - 'a'] = {{"serial*", OTHER}, {"session", OTHER}, {"shipment", OTHER}, {"sin", OTHER},
        {"sku", OTHER}, {"sms", PHONE}, {"social security*", OTHER}, {"ssn", OTHER},
        {"switchboard", PHONE}},
    ['t' - 'a'] = {{"tax*", OTHER}, {"tel", PHONE}, {"telefon*", PHONE}, {"telefoon*", PHONE},
        {"telefón*", PHONE}, {"telem*", PHONE}, {"telephone*", PHONE}, {"tels", PHONE},
        {"text me", PHONE}, {"text*", VAGUE}, {"ticket*", OTHER}, {"timestamp*", OTHER},
        {"total", OTHER}, {"tracking", OTHER}, {"transaction*", OTHER}, {"txn", OTHER},
        {"tél*", PHONE}},
    ['u' - 'a'] = {{"unix", OTHER}, {"upc", OTHER}, {"user id", OTHER}},
    ['v' - 'a'] = {{"vat", OTHER}, {"version*", OTHER}, {"voicemail", PHONE}},
    ['w' - 'a'] = {{"whatsapp", PHONE}, {"work", VAGUE}},
    ['z' - 'a'] = {{"zip*", OTHER}},
    [INITIALS - 1] = {{"Тел*", PHONE}, {"тел*", PHONE}, {"טלפון", PHONE}, {"手机", PHONE},
        {"携帯", PHONE}, {"电话", PHONE}, {"電話", PHONE}, {"전화", PHONE}},
};

// A word that says something else, so near in front of a number, is about the number.
enum { OTHER_BYTES = 28 };

// What the word that begins at i says.
static enum phone_saying word_says(struct slice text, size_t i, size_t at)
{
    enum phone_saying most = SAYS_NOTHING;

    if (i + 1 >= at)
        return SAYS_NOTHING;
    int first = to_lower((unsigned char)text.ptr[i]);
    int second = to_lower((unsigned char)text.ptr[i + 1]);
    const struct phone_word *w = words[is_letter(first) ? first - 'a' : INITIALS - 1];
    for (; w->says; w++)
        if ((unsigned char)w->word[1] == second && w->says > most &&
            words_stands(text, i, at, w->word))
            most = (enum phone_saying)w->says;
    return most;
}

enum phone_saying phone_words(const struct view *v, size_t at)
{
    struct slice text = slice_of(v->ptr, v->len);
    struct words left = words_of(text, at);
    enum phone_saying most = SAYS_NOTHING;

    for (size_t i; words_next(&left, &i);) {
        enum phone_saying says = word_says(text, i, at);

        if (says == SAYS_PHONE || (says == SAYS_OTHER && at - i <= OTHER_BYTES))
            return says;
        if (says == SAYS_VAGUELY)
            most = SAYS_VAGUELY;
    }
    return most;
}
