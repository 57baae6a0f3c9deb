-- SPDX-License-Identifier: MIT
---@meta
-- Editor annotations for policies (lua-language-server). Nothing in here is run; add scripts/meta
-- to your editor's workspace library. What is marked "later" is accepted and has no effect yet.

error("Cannot require a meta file")

-- ---- a policy: policies/NAME.lua returns one

---@class parley.Policy
---@field title? string          What people see.
---@field model? string          "provider:model"; absent: the configured default.
---@field system? string         The system prompt.
---@field history? parley.HistoryStrategy | fun(view: parley.View): parley.HistoryPlan?
---@field on_message? fun(view: parley.View): parley.Plan?               Before the model is asked.
---@field on_reply? fun(view: parley.View, reply: string): parley.Plan?  After it answered.
---@field limits? parley.Limits
---@field expiry? parley.Expiry | fun(view: parley.View): parley.Expiry?  Absent: none is deleted.
---@field resume? parley.Resume
---@field privacy? parley.Privacy
---@field memory? parley.Memory | false   Absent: nothing is learnt of users.
---@field tools? table               Later.
---@field devices? parley.Devices
---@field flows? table               Later.

-- What is personal: which of it is masked, what is kept of it, and who reads what. Without it all
-- kinds are masked, originals are dropped after the turn, and the client alone reads them.
---@class parley.Privacy
---@field redact? string[] | false  Kinds, as `parley help redact` lists them; false: no masks.
---@field patterns? table<string, string>  Your own: name and PCRE2, { order = [[ORD-\d+]] }.
---@field allow? string[]           Never masked: whole values; `*` is any characters.
---@field region? string            Of national telephone numbers: "US"; else parley.lua's.
---@field keep_originals? boolean | string  Sealed, for good or for a time: "30d".
---@field sinks? parley.Sinks

-- Who reads originals, as far as they are known; others read masks such as [EMAIL_1].
---@class parley.Sinks
---@field model? "masked" | "original"     Masked; what is stored is masked all the same.
---@field client? "masked" | "original"    Original.
---@field tool? "masked" | "original"      Masked.
---@field log? "masked"                    Logs have no text.
---@field operator? "masked" | "original"  Masked; of `parley show`.

-- What is remembered of users beyond a conversation. parley.memory makes such tables.
---@class parley.Memory
---@field state? fun(view: parley.View, reply: string): table?  The session's state after a turn.
---@field extract? fun(view: parley.View, turn: parley.Turn): parley.Candidate[]?  Without a model.
---@field reflect? fun(view: parley.View): parley.Conclusion[]?  What several sessions say.
---@field model? string | true    "provider:model", or the bot's: asked when a session is over.
---@field prompts? parley.MemoryPrompts  Needed with a model.
---@field predicates? table<string, parley.Predicate>  By name: a-z, 0-9 and _; 256 at most.
---@field scope? "bot" | "context"  Whether facts hold in all contexts (they do) or in theirs.
---@field recall? parley.MemoryRecall | false  What of it a request has; false: nothing.
---@field stale? string | false     "90d": what nobody confirmed for so long is asked, not told.
---@field quarantine? string | false  "30d": what the user's words do not bear out is dropped then.
---@field reflect_after? integer | false  Sessions between reflections (3).
---@field journal? parley.Journal | false  A few sentences on each session; false: none.
---@field core? parley.CoreRules

---@class parley.MemoryPrompts
---@field extract? string
---@field journal? string
---@field reflect? string

---@class parley.Predicate
---@field kind? parley.FactKind     Of what is said by it ("circumstance").
---@field one? boolean              A new value takes the place of the old one; else all hold.
---@field aliases? string[]         Other names of the same; 16 at most.

---@class parley.MemoryRecall
---@field k? integer                Facts, knowledge, journal entries (8; 64 at most).
---@field budget_tokens? integer    Of them together (400).

---@class parley.Journal
---@field bytes? integer            Of all entries (65536, the most; 8192 where all of it is sent):
---                                 older ones are condensed.
---@field send? boolean | "short"   All of it, the beginning of its newest entry (1 KiB), or (false)
---                                 what is recalled of it.

---@class parley.CoreRules
---@field persona? string           Who the bot is; 4 KiB at most.
---@field human_bytes? integer      Of what plans write about the user, at most (2048).

---@alias parley.FactKind "preference" | "circumstance" | "decision" | "follow_up" | "pattern"
---| "style"

-- What is proposed to be remembered. It becomes a fact once the user's own words bear it out.
---@class parley.Candidate
---@field predicate string
---@field value? string      May be absent where it negates: it ends all values then.
---@field subject? string    "user", if absent; "sister Anna".
---@field kind? parley.FactKind  Absent: its predicate's.
---@field quote? string      The words that say so.
---@field one? boolean       If the predicate is not declared.
---@field negates? boolean   It ends the value: "I no longer live there".
---@field from? number       It is so from then on, in seconds since 1970.
---@field to? number         And until then.

---@class parley.Conclusion: parley.Candidate
---@field facts string[]     The ids of facts that it rests on, of two sessions at least.

-- When a session grows old. Spans are text such as "30m", "2h", "30d"; false is never.
---@class parley.Expiry
---@field kind? "sliding" | "fixed"   Counted from the last message, or from the first.
---@field soft? string | false        "30m"; of a fixed one never, unless it is said.
---@field hard? string | false        Sliding: "2h". The session is archived then.
---@field ttl? string | false         Fixed: what `hard` is to a sliding one.
---@field purge? string | false       "30d": so long after it was archived, its turns are deleted.

-- What coming back after a while means (with -c). Spans as above.
---@class parley.Resume
---@field restore_within? string | false  "2h": the session goes on as if nothing had happened.
---@field fresh_after? string | false     "21d": a new one is told nothing of the one before.
---@field offer? boolean   In between, a new one is told only once a plan says { resume = true }.
---@field greet? fun(view: parley.View): (string | { say: string } | nil)  Said first in a new one.

-- Devices that say which they are (--device), and those that do not, which count as one.
---@class parley.Devices
---@field one_active? boolean         One at a time; another one continues with --here.
---@field lapse_after? string | false "10m": without activity for so long, any device may go on.

---@class parley.Limits
---@field max_output_tokens? integer   Absent: the model's default.
---@field time_ms? integer             Of the processor, for one hook; at most 100.
---@field fuel? integer                Of work, about one instruction each; at most 10,000,000.
---@field memory_bytes? integer        Of the whole policy; at most 16 MiB.
---@field user_usd_per_day? number     US dollars one user may spend with this bot in a UTC day.
---@field bot_usd_per_day? number      What all of its users together may.
---@field user_tokens_per_day? integer The same in tokens, also for models without a price.
---@field bot_tokens_per_day? integer

-- ---- what hooks see: read-only, valid during the hook

---@class parley.View
---@field text string             What the user says now.
---@field history parley.Turn[]   The turns before this one that are loaded, oldest first.
---@field tokens parley.Tokens
---@field turn integer            Number of the turn under way, from 1.
---@field session parley.Session
---@field resume? parley.Resumed  In the first turn of a session that follows another.
---@field user string             The user's id.
---@field context string          The ticket, document or task; "" for none.
---@field gap number              Seconds that the user was away; 0 for a first session.
---@field now number              The time, in seconds since 1970.
---@field facts parley.Fact[]     What is remembered of the user now; empty for nothing.
---@field core parley.Core        Core memory: what is always sent.
---@field journal parley.JournalEntry[]  What is told of earlier sessions, oldest first.
---@field flow nil                Later.

---@class parley.Fact
---@field id string
---@field tier "fact" | "knowledge"
---@field kind parley.FactKind
---@field subject string         "user", or who it is about.
---@field predicate string
---@field value string
---@field stale boolean          Nobody said so for long: to be asked.
---@field confirmed_at? number   When the user last said so, in seconds since 1970.
---@field recorded_at? number
---@field valid_from? number     In the world.
---@field valid_to? number
---@field confirmations integer  Turns in which they said so.
---@field sessions integer       In how many sessions; 8 at most.

---@class parley.Core
---@field human string
---@field persona string

---@class parley.JournalEntry
---@field session string   "earlier": of all that are older.
---@field at number
---@field text string

-- In text it is its id.
---@class parley.Session
---@field id string
---@field state table          What plans said of it; a copy.
---@field turns integer
---@field started number       In seconds since 1970.
---@field last_active number
---@field device? string        The one that it goes on on, as it is called; nil where none is said.

---@class parley.Resumed
---@field kind "primed" | "offered" | "fresh"
---@field gap "moment" | "hours" | "day" | "days" | "weeks" | "months" | "ages"
---@field topic any            state.topic of the session before; nil where there is none.
---@field open table           Its state.open_questions.
---@field before string        Its id.

---@class parley.Tokens
---@field window integer    Of the model that will be asked.
---@field history integer   Estimate of the turns before this one.
---@field budget integer    Left for history in a request.

---@class parley.Turn
---@field turn integer        Its number in the session.
---@field user string         What the user said.
---@field assistant string    What was answered; "" for nothing.
---@field tokens integer
---@field status "open" | "done" | "cut" | "interrupted" | "failed"
---@field at number           When, in seconds since 1970.
---@field superseded boolean  Undone or edited: never sent again.

-- ---- what hooks return: nil ("you decide") or a plan

-- At most one of say, flow, handoff and reset.
---@class parley.Plan
---@field say? string       Answer this, without the model.
---@field flow? string      Run this flow.
---@field handoff? string   Hand over to a person; the reason.
---@field reset? boolean    Go on in a new session.
---@field pin? boolean      This turn is sent from now on, wherever the cut is.
---@field resume? boolean   In a session that was offered what was before: tell it, from now on.
---@field state? table      Put into the session's state, key by key (`false` takes one away): text,
---numbers, booleans, tables. 16 KiB as JSON, and 112 KiB and 64 keys all in all. Known ones: topic,
---intent, entities, open_questions, pending, tone, engagement; topic and open_questions go on.
---@field memory? parley.MemoryPlan  Of a policy with `memory`.

---@class parley.MemoryPlan
---@field core? { human: string }       What is always sent about the user, from now on.
---@field forget? string[]              Ids of facts; 64 at most.
---@field remember? parley.Candidate[]  Quarantined until the user says so.

---@class parley.HistoryPlan
---@field last? integer            So many of the newest turns; absent: all.
---@field slack? integer           And up to so many more, before the oldest are left out again.
---@field pin_first? integer       And so many of the oldest.
---@field pin? integer[]           And these, by number; at most 256.
---@field budget_tokens? integer   At most so many tokens of history; absent: what the window holds.
---@field constraints? string[]    Kept in mind, word for word; 16 at most, each of 1024 bytes.
---@field recall? parley.RecallPlan And turns from before that bear on the message; absent: none.
---@field summary? parley.SummaryPlan And a summary of what is before them; absent: none.

---@class parley.SummaryPlan
---@field tokens? integer          At most so many (400; 20 to 4000).
---@field at? number               Made, at the latest, when so much of the room is used (0.5).
---@field prompt? string           What is asked of the model; absent: ours.
---@field model? string            "provider:model"; absent: that of the turn.

---@class parley.RecallPlan
---@field k? integer               So many turns at most (5; 32 is the most).
---@field budget_tokens? integer   Of so many tokens together (1000).

-- ---- require "parley.history"

-- Data, made by the functions of parley.history.
---@class parley.HistoryStrategy
---@field strategy "full" | "truncate" | "window" | "summarise" | "recall" | "hybrid"
---@field options table

---@class parley.history
local history = {}

-- Everything that fits the window; when it is full, the newest half.
---@param options? { constraints?: string[] }
---@return parley.HistoryStrategy
function history.full(options) end

-- The newest turns within a budget; when it is full, the newest half of it.
---@param options { budget_tokens: integer, constraints?: string[] }
---@return parley.HistoryStrategy
function history.truncate(options) end

-- The newest `keep_turns` turns, and up to `slack_turns` more before the oldest are left out (as
-- many again if absent; none in a window of less than 8); and always the oldest few.
---@param options parley.WindowOptions
---@return parley.HistoryStrategy
function history.window(options) end

---@class parley.WindowOptions
---@field keep_turns integer
---@field slack_turns? integer
---@field pin_first? integer
---@field constraints? string[]

---@class parley.RecallOptions
---@field k? integer
---@field budget_tokens? integer
---@field keep_turns? integer
---@field slack_turns? integer
---@field pin_first? integer
---@field constraints? string[]

---@class parley.SummariseOptions
---@field keep_turns? integer
---@field slack_turns? integer
---@field pin_first? integer
---@field constraints? string[]
---@field summarise_at? number
---@field summary_tokens? integer
---@field prompt? string
---@field model? string

---@class parley.HybridOptions: parley.SummariseOptions
---@field recall? integer
---@field recall_tokens? integer

-- A window, and up to `k` (5) turns from before it, of any session of this user with this bot in
-- this context, that bear on what is said now: quoted in front of the message, `budget_tokens`
-- (1000) of them at most.
---@param options? parley.RecallOptions
---@return parley.HistoryStrategy
function history.recall(options) end

-- The newest `keep_turns` (5) turns, and in front of them a summary of those before, of at most
-- `summary_tokens` (400). A model makes it after the reply, once `slack_turns` more turns have come
-- (as many again, at least 20) or `summarise_at` (0.5) of the room for history is used.
---@param options? parley.SummariseOptions
---@return parley.HistoryStrategy
function history.summarise(options) end

-- The newest `keep_turns` (5) turns, a summary of those before, as history.summarise makes it, and
-- `recall` (5) turns of them within `recall_tokens` (1000).
---@param options? parley.HybridOptions
---@return parley.HistoryStrategy
function history.hybrid(options) end

-- ---- require "parley.greet"

---@class parley.greet
local greet = {}

-- Knows somebody, takes up what was left open or was talked about, asks one thing.
---@param options? { name?: string }
---@return fun(view: parley.View): { say: string }?
function greet.returning(options) end

-- For a service desk: asks for the matter.
---@param options? { name?: string }
---@return fun(view: parley.View): { say: string }?
function greet.desk(options) end

-- ---- require "parley.memory"

---@class parley.MemoryOptions: parley.Memory
---@field patterns? parley.MemoryPattern[]  What else people say of themselves.
---@field without? string[]                 Predicates that are not to be learnt.
---@field language? string                  "English". Of another the rules are `patterns` alone.
---@field words? parley.MemoryWords         Of the language of `patterns`, if it is another.

-- Words, parted by blanks: { stops = "und aber seit", openers = "und", doubts = "wenn nicht" }.
---@class parley.MemoryWords
---@field stops? string     They end a value.
---@field openers? string   Behind one a pattern may begin.
---@field doubts? string    Behind one a sentence says nothing.

-- Patterns of words and what they say: { "i (sail|row) with {thing}", predicate = "crew" }.
---@class parley.MemoryPattern
---@field [integer] string
---@field predicate string     One of memory.predicates.
---@field example? string[]    A sentence and the value in it; tried when the policy is loaded.
---@field denied? string       The predicate that "not" makes of it; "": none.
---@field negates? boolean     It ends the value.
---@field whole? string        The value is all that matched: from a ^ in the pattern on, else
---behind these words.
---@field event? boolean       It tells of a moment: "last May" is since when it is so.
---@field also? boolean        Other patterns may begin at the same word.
---@field closed? boolean      Only if nothing else follows.
---@field asks? boolean        Also in questions.

---@class parley.memory
---@field predicates table<string, parley.Predicate>  Those that there are.
local memory = {}

-- By rules: what is said in English, in the first person, and what answers or corrects what the
-- assistant said last. Nothing is asked of a model. Other languages: `language`, or `model` and
-- `both`.
---@param options? parley.MemoryOptions
---@return parley.Memory
function memory.rules(options) end

-- By a model, once a session is over.
---@param options? parley.MemoryOptions
---@return parley.Memory
function memory.model(options) end

---@param options? parley.MemoryOptions
---@return parley.Memory
function memory.both(options) end

-- What a text says, by the rules.
---@param text string
---@param options? parley.MemoryOptions
---@return parley.Candidate[]
function memory.learn(text, options) end

-- The same for many texts.
---@param options? parley.MemoryOptions
---@return fun(text: string): parley.Candidate[]
function memory.learner(options) end

-- ---- require "parley.test", in a NAME_test.lua beside NAME.lua; `parley test` runs it

-- A test of the policy NAME: in memory, offline, in simulated time that begins at 2026-01-01 09:00
-- UTC. It fails when a check does, when anything raises an error, and when the policy fails.
---@alias parley.test fun(name: string, test: fun(t: parley.Test))

---@class parley.Test
local Test = {}

-- Somebody ("ann", unless said) who talks to the bot; the first message begins a session.
---@param options? { user?: string, context?: string }
---@return parley.Chat
function Test:chat(options) end

-- Tables are equal when their contents are.
function Test:equal(actual, expected) end

---@param what? string   What is wrong if it is not so.
function Test:ok(value, what) end

---@param text string
---@param part string   As it is: no pattern.
function Test:contains(text, part) end

-- Whether the request for the newest message held `text`, anywhere: in the system prompt, in what
-- was said, in a summary.
---@param chat parley.Chat
---@param text string
function Test:sent(chat, text) end

-- Also passes if the model was not asked.
---@param chat parley.Chat
---@param text string
function Test:not_sent(chat, text) end

---@class parley.Chat
---@field request? parley.Request      For the newest message; nil if the model was not asked.
---@field summaries parley.Request[]   Those for summaries, all of them.
local Chat = {}

-- What the model answers: a string to the next message that has none yet, one after the other; a
-- function to all for which there is no string. "All right." if nothing is said.
---@param reply string | parley.Brain
function Chat:model(reply) end

-- The same for summaries, from now on.
---@param reply string | parley.Brain
function Chat:summary(reply) end

-- One turn, with all that follows it, such as a summary.
---@param text string
---@return parley.SaidTurn
function Chat:say(text) end

-- The next message is of somebody who comes back (-c): it goes on in the newest session, or in a
-- new one, as the policy's `resume` says.
function Chat:back() end

-- Lets time pass: "45s", "30m", "2h", "3d".
---@param span string
function Chat:wait(span) end

---@class parley.SaidTurn
---@field reply string
---@field status "done" | "cut" | "failed" | "refused"   The last: it was not accepted.
---@field greeting? string   What the policy said first, in a session that this turn began.
---@field error? string      Why there is no whole reply.
---@field warnings string[]  What the person was told.
---@field session string
---@field turn integer       Its number in the session.

-- ---- a script of the scripted provider returns function(request): string

---@class parley.Request
---@field model string
---@field system string
---@field messages parley.Message[]   Oldest first; the last is the user's.

---@class parley.Message
---@field role "user" | "assistant"
---@field text string

---@alias parley.Brain fun(request: parley.Request): string
