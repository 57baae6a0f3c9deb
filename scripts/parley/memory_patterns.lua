-- SPDX-License-Identifier: MIT
-- parley.memory_patterns: what people say of themselves in English, as data for parley.memory.
--
-- A rule is a list of patterns (parley.memory_match says how they are written, parley.memory_values
-- which {types} there are) with
--   predicate   what is learnt; the value is the pattern's last {type}, word for word
--   kind        of this statement, if it is another than the predicate's
--   denied      the predicate that "not" makes of it: "I don't like" is dislikes; "": none.
--               Without it, what is denied ends the value: "I don't live in Rome"
--   negates     it ends the value: "I moved away from Rome"
--   also        other rules may begin at the same word
--   whole       the value is all that the pattern matched: from its ^ on, else behind these words
--   closed      nothing may follow that makes something else of it
--   event       it tells of a moment: "I moved to Rome last May" is so since then
--   asks        questions say it too: "Could you remind me to …?"
-- <words> stand for those below.
-- The first rule that matches at a word takes it: what is narrower comes first.

local M = {}
local _ENV = nil

local circumstance, preference = "circumstance", "preference"
local decision, follow_up, style = "decision", "follow_up", "style"

-- one = true: a new value takes the place of the one before. Else all of them hold.
M.predicates = {
    name = { kind = circumstance, one = true, aliases = { "full_name", "first_name" } },
    called = { kind = style, one = true, aliases = { "nickname", "prefers_to_be_called" } },
    lives_in = { kind = circumstance, one = true,
        aliases = { "residence", "home", "home_city", "city", "location", "based_in" } },
    from = { kind = circumstance, one = true,
        aliases = { "hometown", "home_town", "home_country", "grew_up_in", "origin", "born_in" } },
    works_as = { kind = circumstance, one = true,
        aliases = { "job", "occupation", "profession", "role", "job_title", "is_a" } },
    works_at = { kind = circumstance, one = true,
        aliases = { "employer", "company", "works_for", "workplace" } },
    works_in = { kind = circumstance, one = true, aliases = { "industry", "field" } },
    studies = { kind = circumstance, one = true, aliases = { "major", "field_of_study" } },
    studies_at = { kind = circumstance, one = true, aliases = { "school", "university" } },
    age = { kind = circumstance, one = true },
    birthday = { kind = circumstance, one = true, aliases = { "date_of_birth", "born_on" } },
    marital_status = { kind = circumstance, one = true, aliases = { "relationship_status" } },
    partner = { kind = circumstance, one = true,
        aliases = { "wife", "husband", "spouse", "girlfriend", "boyfriend", "fiance" } },
    child = { kind = circumstance,
        aliases = { "children", "son", "daughter", "kid", "kids", "sons", "daughters" } },
    parent = { kind = circumstance, aliases = { "mother", "father", "mom", "dad", "parents" } },
    sibling = { kind = circumstance, aliases = { "brother", "sister", "siblings" } },
    relative = { kind = circumstance, aliases = { "family", "uncle", "aunt", "cousin" } },
    friend = { kind = circumstance, aliases = { "friends", "best_friend" } },
    colleague = { kind = circumstance, aliases = { "boss", "coworker", "manager" } },
    has_pet = { kind = circumstance, aliases = { "pet", "pets", "dog", "cat", "has_pets" } },
    owns = { kind = circumstance, aliases = { "has", "drives", "possesses" } },
    plays = { kind = preference, aliases = { "instrument", "plays_instrument", "sport" } },
    speaks = { kind = circumstance, aliases = { "language", "languages", "native_language" } },
    teaches = { kind = circumstance, aliases = { "teaching", "subject_taught" } },
    learning = { kind = circumstance, aliases = { "learns", "is_learning" } },
    allergic_to = { kind = circumstance, aliases = { "allergy", "allergies" } },
    diet = { kind = circumstance, one = true, aliases = { "dietary_preference" } },
    does_not_eat = { kind = preference, aliases = { "avoids_food", "avoids" } },
    likes = { kind = preference,
        aliases = { "loves", "enjoys", "interests", "hobbies", "interested_in", "fan_of" } },
    dislikes = { kind = preference, aliases = { "hates", "does_not_like", "fears" } },
    prefers = { kind = preference, aliases = { "preference" } },
    favourite_colour = { kind = preference, one = true, aliases = { "favorite_color" } },
    favourite_food = { kind = preference, one = true, aliases = { "favorite_food" } },
    favourite_book = { kind = preference, one = true, aliases = { "favorite_book" } },
    favourite_film = { kind = preference, one = true,
        aliases = { "favorite_movie", "favourite_movie", "favorite_film" } },
    favourite_music = { kind = preference, one = true,
        aliases = { "favorite_band", "favourite_band", "favorite_song", "favourite_song" } },
    uses = { kind = circumstance, aliases = { "tool", "tools" } },
    decided = { kind = decision, aliases = { "decision", "chose" } },
    plans = { kind = decision, aliases = { "plan", "planning", "is_planning" } },
    wants = { kind = decision, aliases = { "goal", "goals", "wish", "dream" } },
    follow_up = { kind = follow_up, aliases = { "will_tell", "to_follow_up" } },
    reminder = { kind = follow_up, aliases = { "remind" } },
    deadline = { kind = follow_up, aliases = { "due" } },
    upcoming = { kind = follow_up, aliases = { "event", "appointment" } },
    skill = { kind = style, aliases = { "expertise", "knows", "skills", "level" } },
    new_to = { kind = style, aliases = { "beginner_in", "is_new_to" } },
    answer_length = { kind = style, one = true },
    answer_level = { kind = style, one = true },
    answer_form = { kind = style },
    reply_language = { kind = style, one = true, aliases = { "language_preference" } },
}

M.words = {
    partner = "wife|husband|partner|spouse|girlfriend|boyfriend|fiance|fiancee|fiancé|fiancée",
    child = "son|daughter|kid|child|baby|stepson|stepdaughter",
    children = "son|daughter|kid|child|baby|kids|children|sons|daughters",
    relative = "grandmother|grandma|grandfather|grandpa|uncle|aunt|cousin|niece|nephew",
    which = "older|younger|oldest|youngest|eldest|elder|big|little|baby|twin",
    number = "a|an|one|two|three|four|five|2|3|4",
    live = "live|am living|are living|reside|am residing|am based|are based|am located",
    attend = "go to|attend|study at|am studying at|am a student at|am enrolled at|graduated from",
    degree = "degree|master|masters|master 's|phd|bachelor|bachelors|bachelor 's|diploma",
    fond_of = "fond of|into|keen on|passionate about|interested in|crazy about|obsessed with|" ..
        "a fan of|a big fan of|a huge fan of|hooked on",
    pastime = "hobby|pastime|sport|activity|game|animal|season|drink",
    planning = "planning|thinking of|thinking about|considering",
    want = "want|wanted|would like|would love|hope|aim|aspire|wish|dream",
    tell_you = "let you know|tell you|keep you posted|keep you updated|update you|" ..
        "get back to you|report back|come back to you|share",
    event = "interview|exam|appointment|presentation|test|surgery|operation|flight|wedding|trip|" ..
        "marathon|race|recital|conference|audition|hearing",
    sort = "big|important|final|first|job|driving|doctor 's|dentist|dentist 's|medical",
    task = "project|paper|assignment|report|application|thesis|tax",
    seasoned = "retired|freelance|full-time|part-time|junior|senior|trained",
    beginner = "beginner|newbie|novice|noob",
    expert = "an expert|a professional|an authority|a specialist|a pro|experienced|proficient|" ..
        "well versed|good|skilled",
    length = "short|brief|concise|short and sweet|long|detailed|thorough|shorter|longer|" ..
        "precise|direct",
    answers = "answers|replies|responses|explanations",
    simply = "simply|slowly|in simple terms|in plain english|in simple words|in layman 's terms|" ..
        "like i am five",
    simple_words = "simple words|plain language|plain english|simple language",
    form = "bullet points|bullets|lists|tables|emojis|emoji|markdown|exclamation marks",
    units = "metric units|the metric system|imperial units|british spelling|american spelling|" ..
        "celsius|fahrenheit",
}

M.rules = {
    -- ---- who it is
    { predicate = "name",
      "my [full|first|real] name is {name}", "my [full|first|real] name 's {name}",
      "my names {name}", "the name is {name}", "the name 's {name}", "name 's {name}" },
    { predicate = "called", denied = "",
      "(call|address) me {name}",
      "(you can|you may|people|friends) call me {name}", "(everyone|everybody) calls me {name}",
      "my friends call me {name}", "i go by {name}", "i prefer to be called {name}",
      "i am (called|known as) {name}", "my nickname is {name}" },
    { predicate = "age", also = true, "i am a {age} [year|years] old" },
    { predicate = "age",
      "i am {age}", "i (am turning|turn|turned|have turned|will be|will turn) {age}",
      "my age is {age}" },
    { predicate = "birthday", denied = "",
      "my birthday is [on|in] {date}", "my birthday 's [on|in] {date}", "i was born [on|in] {date}",
      "i (celebrate|celebrated) my birthday [on|in] {date}", "my date of birth is {date}" },
    { predicate = "from",
      "i was born [and raised] in {city}", "i was raised in {city}", "i grew up in {city}",
      "i am [originally] from {city}", "i (come|hail) from {city}", "i am a native of {city}",
      "my (hometown|home town|home country) is {city}" },

    -- ---- where
    { predicate = "lives_in", negates = true,
      "(i|we) used to live in {place}", "(i|we) (moved|have moved) (away from|out of) {place}",
      "(i|we) lived in {place}" },
    { predicate = "lives_in", event = true,
      "(i|we) [have] [just] (moved|relocated) to {city}",
      "(i|we) [have] [just] (moved|relocated) (from|out of) {place} to {city}",
      "(i|we) (moved|relocated) back to {city}", "(i|we) [have] settled [down] in {city}" },
    { predicate = "lives_in",
      "(i|we) live and work in {place}", "(i|we) (<live>) in {place}",
      "(i|we) [have] been living in {place}", "(i|we) have lived in {place}",
      "i am back living in {place}", "(my home is|home is|home for me is) in {place}",
      "(my|our) (flat|apartment|house) is in {city}",
      "i am (living|based) (near|outside) {place}",
      "(i|we) live (near|outside|close to) {place}", "i call {city} home",
      "i am (living|based) in {place}" },

    -- ---- work and study
    { predicate = "works_as", negates = true,
      "i used to work as (a|an) {job}", "i used to be (a|an) {job}",
      "i (quit|left) my job as (a|an) {job}" },
    { predicate = "works_at", negates = true,
      "i used to work (at|for) {org}", "i (quit|left) my job at {org}",
      "i was (fired|laid off) from {org}" },
    { predicate = "works_at", also = true,
      "i am (a|an) {trade} at {org}", "i work as (a|an) {job} (at|for) {org}" },
    { predicate = "works_as", also = true, "i work (at|for) {org} as (a|an) {job}" },
    { predicate = "works_as", also = true, event = true,
      "i (became|have become) (a|an) {job}", "i (got|started) a [new] job as (a|an) {job}",
      "i [have] [just] (started|began) [working] as (a|an) {job}" },
    { predicate = "from", also = true,
      "i am (a|an) [<seasoned>] {trade} from {city}",
      "i am (a|an) {age} [year|years] old {trade} from {city}" },
    { predicate = "works_as",
      "(i|we) [have] [been] (work|am working|working|worked) as (a|an|the) {job}",
      "i am employed as (a|an) {job}", "my (job|occupation|profession|job title) is {job}",
      "i work (full-time|part-time|freelance) as (a|an) {job}",
      "i am (a|an) {job} (by trade|by profession)", "i do {job} for a living",
      "i make a living as (a|an) {job}" },
    { predicate = "works_at", event = true,
      "i [have] [just] (started|joined|got hired) (at|by) {org}",
      "i [have] [just] joined {org} as", "i got a [new] job (at|with) {org}" },
    { predicate = "works_at",
      "i [have] [been] (work|am working|working|am employed) (at|for) {org}",
      "i have worked (at|for) {org} (since|for)", "i am starting (at|by) {org}",
      "i am joining {org} as", "my (employer|company) is {org}",
      "i work full-time at {org}" },
    { predicate = "works_in",
      "i (work|am working) in {sector}", "i am in the {field} (business|industry|field|sector)" },
    { predicate = "teaches", "i (teach|am teaching) {field}" },
    { predicate = "studies_at",
      "i (<attend>) {org}",
      "i am (a student|an undergrad|an undergraduate|studying) at {org}" },
    { predicate = "studies",
      "i (study|am studying) {field}", "i (major|am majoring|majored) in {field}",
      "my major is {field}",
      "i am (doing|getting|pursuing) (a|my) (<degree>) in {field}",
      "i have (a|my) (<degree>) in {field}" },

    -- ---- people and animals
    { predicate = "marital_status", whole = "am", denied = "", also = true, closed = true,
      "i am [happily|newly|recently] (married|single|divorced|engaged|widowed)" },
    { predicate = "marital_status", whole = "", denied = "", event = true, also = true,
      "(i|we) [have] [just] got ^ (married|divorced|engaged)" },
    { predicate = "partner", also = true, denied = "",
      "(my|our) (<partner>) 's name is {name}",
      "my (<partner>) (is|'s) (called|named) {name}",
      "my (<partner>) is {self}",
      "my (<partner>) {names}",
      "i am (married|engaged) to {name}", "i am (dating|seeing) {self}", "i married {names}" },
    { predicate = "child", also = true, denied = "",
      "(my|our) (<child>) 's name is {name}",
      "(my|our) (<which>) (son|daughter|kid|child) 's name is {name}",
      "(my|our) [<which>] (<child>) is (called|named) {name}",
      "(my|our) [<which>] (<child>) {names}",
      "(my|our) [two|three|four] (sons|daughters|kids|children) are (called|named) {names}",
      "(my|our) [two|three|four] (sons|daughters|kids|children) {names}",
      "(my|our) (sons|daughters|kids|children) 's names are {names}",
      "i have (<number>) [little|young] (<children>) (called|named) {names}",
      "(i|we) have [got] (one|two|three|four) (kids|children|sons|daughters) {names}" },
    { predicate = "child", whole = "have", closed = true, denied = "",
      "(i|we) have a (son|daughter) and a (son|daughter)", "(i|we) have twins",
      "(i|we) have (a|an) ^ [little|young|grown|teenage] (<children>)",
      "(i|we) have (<number>) [little|young|grown|teenage] (<children>|boys|girls|twins)",
      "(i|we) have got ^ (<number>) [little|young|grown|teenage] (<children>|boys|girls|twins)" },
    { predicate = "sibling", also = true, denied = "",
      "my [<which>] (brother|sister|twin) 's name is {name}",
      "my [<which>] (brother|sister|twin) is (called|named) {name}",
      "my [<which>] (brother|sister|twin) {names}",
      "i have (<number>) [<which>] (brother|sister|brothers|sisters) (called|named) {names}",
      "i have (<number>) [<which>] (brothers|sisters) {names}" },
    { predicate = "sibling", whole = "have", closed = true, denied = "",
      "i have (a|an) ^ [<which>] (brother|sister)",
      "i have (<number>) [<which>] (brother|sister|brothers|sisters|siblings)" },
    { predicate = "parent", also = true, denied = "",
      "my (mother|mom|mum|father|dad) 's name is {name}",
      "my (mother|mom|mum|father|dad) is (called|named) {name}",
      "my (mother|mom|mum|father|dad) {names}" },
    { predicate = "relative", also = true, denied = "",
      "my (<relative>) 's name is {name}",
      "my (<relative>) is (called|named) {name}",
      "my (<relative>) {names}" },
    { predicate = "friend", also = true, denied = "",
      "my [best|good|old|close] (friend|roommate|flatmate) 's name is {name}",
      "my [best|good|old|close] (friend|roommate|flatmate) is (called|named) {name}",
      "my [best|good|old|close] (friend|roommate|flatmate) {names}",
      "my best friend is {self}" },
    { predicate = "colleague", also = true, denied = "",
      "my (boss|manager|colleague|coworker|teammate) 's name is {name}",
      "my (boss|manager|colleague|coworker|teammate) is (called|named) {name}",
      "my (boss|manager|colleague|coworker|teammate) {names}" },
    { predicate = "has_pet", negates = true,
      "i [had to] (gave|give) away my {pet}", "my {pet} (died|passed away|ran away)",
      "(i|we) used to have {pet}" },
    { predicate = "has_pet",
      "(i|we) [just] [have] (have|own|adopted|got|rescued|bought) {pet}", "(my|our) {pet}",
      "i am the [proud] owner of {pet}", "(i|we) have got {pet}" },

    -- ---- what they have and use
    { predicate = "owns", negates = true,
      "i (sold|gave away|have sold) my {item}" },
    { predicate = "owns",
      "i own {item}", "i drive (a|an) {item}", "i ride (a|an) {item}",
      "i [have] [just] (bought|purchased) [myself] (a|an|my|my first|my own) {item}",
      "(i|we) have got (a|an) {item} at home" },
    { predicate = "plays", negates = true,
      "i used to play [the] {hobby}", "i (stopped|quit|gave up) playing [the] {hobby}" },
    { predicate = "plays",
      "i play [the] {hobby}", "i have been playing [the] {hobby}" },
    { predicate = "uses", denied = "",
      "i [mainly] use {skill} (at work|for work|daily|every day|on my laptop)",
      "i am (running|on) {skill} (at work|at home|on my laptop)" },

    -- ---- languages
    { predicate = "speaks",
      "i speak {language}", "i am fluent in {language}", "i am a native speaker of {language}",
      "i am a native {language} speaker",
      "my (native|first|mother) (language|tongue) is {language}",
      "i am bilingual in {language}", "i grew up speaking {language}" },
    { predicate = "learning",
      "i [have] [been] [started] (learning|am learning|am teaching myself) [how] [to] {skill}",
      "i [have] started (learning|to learn) [how] [to] {skill}",
      "i am taking {skill} (lessons|classes)" },

    -- ---- food
    { predicate = "allergic_to",
      "i am [deadly|severely|badly|highly] allergic to {allergen}",
      "i have (a|an) {allergen} allergy",
      "i have (a|an) allergy to {allergen}", "i have [severe] allergies to {allergen}",
      "my allergies are {allergen}", "i am intolerant to {allergen}",
      "i can not tolerate {allergen}" },
    { predicate = "diet",
      "i am {diet}", "i (became|have become|went|have gone|have been|turned) {diet}",
      "i follow a {diet} diet", "i eat {diet}", "we are {diet}" },
    { predicate = "does_not_eat", plain = true,
      "i (do not|can not|never|no longer) (eat|drink) [any] {allergen}",
      "i (avoid|have given up|gave up|stopped) (eating|drinking) {allergen}",
      "i am (cutting out|avoiding) {allergen}" },

    -- ---- how to talk with them
    { predicate = "new_to", denied = "",
      "i am [completely|totally|fairly|relatively|very|brand] new to {skill}",
      "i am a [complete|total|absolute] (<beginner>) (in|at|with|to|when it comes to) {skill}",
      "i have never (used|done|tried|programmed in|worked with) {skill}",
      "i am just starting [out] (with|in) {skill}", "i have no experience (with|in) {skill}",
      "i know nothing about {skill}", "i am not familiar with {skill}" },
    { predicate = "skill", denied = "",
      "i am (<expert>) (in|at|with|on) {skill}",
      "i have [extensive|a lot of|some|much] experience (with|in) {skill}",
      "i have been (programming|coding|developing) (in|with) {skill}",
      "i know {skill} (well|by heart|inside out)", "i am familiar with {skill}" },
    { predicate = "answer_length", whole = "", denied = "",
      "[please] (be|keep it|keep them|keep your answers|make it) ^ (<length>|to the point)",
      "[please] keep (answers|your replies|your answers|replies|things) ^ (brief|short|concise)",
      "i (prefer|like|want|need) ^ (<length>) (<answers>)",
      "[please] ^ (give|answer with|go into) (me more|more) (detail|details)",
      "[please] be ^ (more detailed|more thorough|thorough|detailed)" },
    { predicate = "answer_level", whole = "", denied = "",
      "[please] (explain|put|say) (it|things|everything|this) ^ (<simply>)",
      "[please] explain ^ (<simply>)",
      "[please] (keep it|keep things) ^ simple",
      "[please] ^ (no jargon|avoid jargon)", "[please] use ^ (<simple_words>)",
      "[you can|please] (be|get) ^ (technical|as technical as you like)",
      "[please] ^ (skip|leave out) the basics",
      "i (prefer|like) ^ (simple|technical|in-depth) (explanations|answers|terms|language)" },
    { predicate = "answer_form", whole = "", denied = "",
      "[please] [always] use ^ (<form>|<units>|examples)",
      "[please] ^ (do not use|never use|no|avoid|without|stop using) (<form>)",
      "[please] (answer|reply|write) ^ (with|using|in) (<form>|<units>|examples|full sentences)",
      "i (prefer|like) ^ (<form>|<units>|examples|step-by-step instructions)" },

    { predicate = "reply_language", denied = "",
      "[please] [always] (answer|reply|respond|write|speak) [to me] in {language}",
      "i prefer (answers|replies) in {language}", "[please] (speak|use) {language} with me",
      "i want (answers|replies) in {language}" },
    { predicate = "reply_language", denied = "", asks = true,
      "(can|could) we (speak|talk in|talk|switch to|write in) {language}",
      "(can|could) you (answer|reply|respond|write|speak) [to me] in {language}" },

    -- ---- likes and dislikes
    { predicate = "favourite_colour",
      "my (favourite|favorite|fave) (colour|color) is {favourite}",
      "{favourite} is my (favourite|favorite|fave) (colour|color)" },
    { predicate = "favourite_food",
      "my (favourite|favorite|fave) (food|dish|meal) is {favourite}",
      "{favourite} is my (favourite|favorite|fave) (food|dish|meal)" },
    { predicate = "favourite_book",
      "my (favourite|favorite|fave) book is {favourite}",
      "my all-time (favourite|favorite) book is {favourite}",
      "{favourite} is my (favourite|favorite|fave) book" },
    { predicate = "favourite_film",
      "my (favourite|favorite|fave) (film|movie) is {favourite}",
      "{favourite} is my (favourite|favorite|fave) (film|movie)" },
    { predicate = "favourite_music",
      "my (favourite|favorite|fave) (band|song|singer|artist|musician) is {favourite}",
      "{favourite} is my (favourite|favorite|fave) (band|song|singer|artist)" },
    { predicate = "likes", whole_item = true, denied = "",
      "my (favourite|favorite) (<pastime>|place|thing to do|way to relax) is {favourite}",
      "{favourite} is my (favourite|favorite) (<pastime>)",
      "my (hobbies are|hobbies include|hobby is|interests are|passion is) {thing}",
      "my (favourite|favorite) {thing} is {favourite}" },
    { predicate = "dislikes", denied = "",
      "i (hate|dislike|detest|loathe|despise) {thing}", "i can not stand {thing}",
      "i can not bear {thing}",
      "i am not a [big|huge] fan of {thing}", "i am not (into|fond of|keen on) {thing}",
      "i am (afraid|scared|terrified) of {thing}", "i am sick of {thing}",
      "{thing} is not my thing" },
    { predicate = "prefers", denied = "",
      "i prefer to {doing}", "i prefer {thing}", "i would rather have {thing}" },
    { predicate = "likes", negates = true,
      "i used to (like|love|enjoy|be into) {thing}" },
    { predicate = "likes", denied = "dislikes",
      "i (like|love|enjoy|adore) to {doing}", "i (like|love|enjoy|adore) {thing}",
      "i have (loved|liked|enjoyed) {thing}", "i always (loved|liked|enjoyed) {thing}",
      "i am (<fond_of>) {thing}",
      "i have a passion for {thing}",
      "i am a [big|huge|massive] {fan} (fan|lover|enthusiast|nerd)",
      "i have (got|gotten) into {hobby}", "i got into {hobby}" },

    -- ---- decisions, plans, goals
    { predicate = "decided", denied = "",
      "(i|we) [have] [finally] decided (to|on) {goal}",
      "(i|we) [have] [finally] decided that {goal}",
      "(i|we) [have] (chosen|chose|settled on|opted for|went with|gone with) {item}",
      "(i|we) [have] made up my mind to {goal}", "(let us|i will|we will) go with {item}",
      "(my|our|the) decision is to {goal}" },
    { predicate = "decided", denied = "", whole = "decided",
      "(i|we) [have] decided against {goal}" },
    { predicate = "plans",
      "(i|we) [am|are] [have] [been] (<planning>) [on|to|a] {goal}",
      "(i|we) plan (to|on) {goal}", "(i|we) (intend to|am about to|am preparing to) {goal}",
      "(my|our|the) plan is to {goal}", "(i|we) (am|are) going to {venture}",
      "(i|we) (am|are) {journey}", "(i|we) will be {journey}" },
    { predicate = "wants", denied = "",
      "my [main|biggest|long-term] (goal|aim|dream|ambition|objective) is [to] {goal}",
      "my goal for {item} is [to] {goal}",
      "(i|we) [have] [always] (<want>) to {wish}",
      "i am (saving up for|saving for|training for|working towards|working toward) {goal}",
      "i am trying to {effort}",
      "i dream (of|about) {goal}", "i have (a dream|a goal) (of|to) {goal}" },

    { predicate = "wants", denied = "", whole = "to",
      "i [have] [always] (want|wanted|would like|hope|dream) to be (a|an) {job}" },

    -- ---- what is still open
    { predicate = "follow_up", denied = "",
      "i will (<tell_you>) {promise}" },
    { predicate = "reminder", asks = true, denied = "",
      "[please|can you|could you|would you|will you] remind me (to|about|of|that|on|at|in) {goal}",
      "i need (to be reminded|a reminder) (to|about|of) {goal}",
      "do not let me forget (to|about|that) {goal}" },
    { predicate = "deadline", denied = "", whole = "",
      "(my|the|our) [<task>] deadline [for {item}] is [on|by|in|at] {when}",
      "(my|the) deadline 's [on] {when}",
      "(my|the|our) {item} is due [on|by|in|at] {when}",
      "(i|we) (have to|need to|must) (finish|submit|send|deliver|hand in) {goal} by {when}" },
    { predicate = "upcoming", denied = "", whole = "have",
      "(i|we) (have|have got) (a|an|my) [<sort>] (<event>|meeting|date|concert) {when}" },
    { predicate = "upcoming", denied = "", whole = "",
      "my [<sort>] (<event>) is {when}" },

    -- ---- the name that is only said: last, as it is the broadest
    { predicate = "name", "i am {self}", "(it|this) is {who} here", "{who} here",
      "(hi|hello|hey) [there|everyone|all] (it|this) is {self}",
      "(hi|hello|hey) [there|everyone|all] {who} here" },
    { predicate = "works_as", denied = "",
      "i am (a|an) [<seasoned>] {trade}", "i am (a|an) {age} [year|years] old {trade}",
      "i have been (a|an) [<seasoned>] {trade} (since|for)" },
}

-- What is said of somebody else: "my sister Anna lives in Lyon".
M.others = {
    { predicate = "lives_in",
      "{person} (lives|is living|resides|stays|is based) in {place}",
      "{person} [just] [has] moved to {place}" },
    { predicate = "from", "{person} (is|comes) from {city}",
      "{person} (was born|grew up) in {city}" },
    { predicate = "works_as", "{person} (works|is working) as (a|an) {job}",
      "{person} is (a|an) [retired] {trade}" },
    { predicate = "works_at", "{person} (works|is working) (at|for) {org}" },
    { predicate = "studies", "{person} (studies|is studying) {field}" },
    { predicate = "age", "{person} is {years}", "{person} [just] (turned|turns) {years}" },
    { predicate = "birthday", denied = "", "{person} 's birthday is [on|in] {date}" },
    { predicate = "likes", denied = "dislikes", "{person} (likes|loves|enjoys|adores) {thing}" },
    { predicate = "dislikes", denied = "", "{person} (hates|dislikes) {thing}",
      "{person} is (afraid|scared) of {thing}" },
    { predicate = "allergic_to", "{person} is allergic to {allergen}" },
    { predicate = "diet", "{person} is {diet}" },
    { predicate = "plays", "{person} plays [the] {thing}" },
    { predicate = "speaks", "{person} speaks {language}" },
}

-- Trades that are known, for "I am a …": what else people say to be they mostly are not by trade.
M.trades = [[accountant|actor|actress|architect|artist|baker|barista|bartender|biologist|bus driver|
    business owner|carpenter|cashier|chef|chemist|civil engineer|coach|consultant|cook|
    counselor|dancer|data analyst|data scientist|dentist|designer|developer|doctor|driver|
    economist|editor|electrician|engineer|entrepreneur|farmer|firefighter|florist|freelancer|
    game developer|graphic designer|hairdresser|historian|homemaker|illustrator|interpreter|
    janitor|journalist|judge|locksmith|lawyer|lecturer|librarian|linguist|manager|marketer|
    mathematician|
    mechanic|mechanical engineer|midwife|musician|nurse|nutritionist|painter|paramedic|pastor|
    personal trainer|pharmacist|photographer|physicist|pianist|pilot|plumber|police officer|
    postman|professor|programmer|project manager|product manager|psychologist|radiologist|
    realtor|receptionist|researcher|sales manager|salesman|scientist|sculptor|secretary|singer|
    social worker|software developer|software engineer|soldier|student|surgeon|tailor|
    taxi driver|teacher|technician|therapist|tour guide|translator|truck driver|tutor|
    veterinarian|vet|waiter|waitress|web developer|web designer|welder|writer|yoga instructor|
    yoga teacher|history teacher|math teacher|maths teacher|english teacher|music teacher|
    primary school teacher|high school teacher|medical student|law student|phd student|
    college student|university student|nursing student|exchange student|stay-at-home mom|
    stay-at-home dad|stay-at-home parent|security guard|bookkeeper|analyst|bank teller|banker|
    broker|builder|butcher|clerk|comedian|composer|contractor|curator|customer support agent|
    dermatologist|diplomat|dj|drummer|estate agent|real estate agent|financial analyst|
    fisherman|gardener|geologist|intern|lab technician|landscaper|marine biologist|model|nanny|
    novelist|nurse practitioner|optician|personal assistant|physiotherapist|podcaster|poet|
    producer|recruiter|sailor|streamer|systems administrator|sysadmin|toolmaker|youtuber|
    zookeeper]]

return M
