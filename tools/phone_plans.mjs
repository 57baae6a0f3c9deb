// SPDX-License-Identifier: MIT
// phone_plans.mjs: writes scripts/phones/plans.txt anew, from the metadata of libphonenumber as the
// npm package libphonenumber-js has it. Run by hand when numbering plans have changed:
//
//   npm install --prefix /tmp/phones libphonenumber-js
//   node tools/phone_plans.mjs /tmp/phones/node_modules/libphonenumber-js > scripts/phones/plans.txt
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.argv[2]
if (!folder) {
    console.error('usage: node tools/phone_plans.mjs FOLDER-OF-LIBPHONENUMBER-JS')
    process.exit(2)
}
const read = name => JSON.parse(readFileSync(join(folder, name), 'utf8'))
const version = read('package.json').version
const metadata = read('metadata.max.json')

// Where the package keeps things: an array for each region.
const IDD = 1, NUMBERS = 2, FORMATS = 4, PREFIX = 5, PARSING = 7, TRANSFORM = 8, TYPES = 11

// The alternatives of a pattern at its outermost level.
function alternatives(pattern) {
    const parts = ['']
    let depth = 0
    for (const c of pattern) {
        depth += c === '(' ? 1 : c === ')' ? -1 : 0
        if (c === '|' && depth === 0)
            parts.push('')
        else
            parts[parts.length - 1] += c
    }
    return parts
}

const uncaptured = pattern => pattern.replace(/\((?!\?)/g, '(?:')

// What is dialled in front of a national number, and what is dialled instead of one. The metadata has
// both in one pattern with a rule of replacement; the rules fall into four sorts.
function dialling(region) {
    const trunk = [], instead = []
    const rule = region[TRANSFORM] || ''
    for (const part of alternatives(region[PARSING] || region[PREFIX] || '')) {
        const local = part.match(/^\((.*)\)\$$/)
        const carrier = part.match(/^(.*)\(\\d\{10,11\}\)(.*)$/)
        if (part === '')
            continue
        if (local && /^\d+\$1$/.test(rule))
            instead.push(uncaptured(local[1]))                  // without its area code
        else if (local)
            instead.push(uncaptured(local[1]))                  // a number of its own
        else if (/^\d+\$1$/.test(rule) && part.includes('('))
            instead.push(`(?:${uncaptured(part)})\\d{6,8}`)     // a mark inside: "0 11 15 …" (AR)
        else if (carrier)
            trunk.push(uncaptured(carrier[1] + carrier[2]))     // a carrier's code (BR)
        else if (rule === '$1' && /^\d+\(/.test(part))
            trunk.push(part.match(/^\d+/)[0])                   // only before some numbers (GA)
        else
            trunk.push(uncaptured(part))
    }
    // One that ends with a mark inside has the plain prefix, too.
    if (instead.some(p => p.endsWith('\\d{6,8}')) && region[PREFIX])
        trunk.push(region[PREFIX])
    return { trunk: [...new Set(trunk)], instead: [...new Set(instead)] }
}

// Is the prefix in every way in which the region's numbers are written?
const always = region => region[PREFIX] && region[FORMATS] && region[FORMATS].every(
    ([, , , rule, optional]) => rule && rule.includes(region[PREFIX]) && !optional)

const patterns = data => (data[TYPES] || []).filter(t => t && t[0]).map(t => uncaptured(t[0]))

const out = []
out.push('# Numbering plans of the world: what may be dialled.')
out.push('# Source: the metadata of libphonenumber (https://github.com/google/libphonenumber), as in the npm')
out.push(`# package libphonenumber-js ${version}. Licence: Apache-2.0. Made by tools/phone_plans.mjs.`)
out.push('#')
out.push('# plan CODE         a calling code; what follows, to the next one, is of its regions')
out.push('# number PATTERN    national (significant) numbers')
out.push('# region ISO        its regions, the main one first')
out.push('# trunk PATTERN     what the region dials in front of a national number')
out.push('# always DIGITS      which trunk is never left out')
out.push('# instead PATTERN   what the region dials instead of one')
out.push('# abroad PATTERN    what the region dials in front of a calling code')
out.push('# common ISO ISO …    whose national numbers are looked for where no region is configured')
const codes = { ...metadata.country_calling_codes }
for (const code of Object.keys(metadata.nonGeographic))
    codes[code] = []
for (const code of Object.keys(codes).sort()) {
    const regions = codes[code].map(iso => [iso, metadata.countries[iso]])
    const all = regions.length ? regions.map(r => r[1]) : [metadata.nonGeographic[code]]
    const numbers = new Set()
    for (const data of all) {
        const found = patterns(data)
        for (const pattern of found.length ? found : [uncaptured(data[NUMBERS])])
            numbers.add(pattern)
    }
    out.push('', `plan ${code}`)
    for (const pattern of numbers)
        out.push(`number ${pattern}`)
    for (const [iso, data] of regions) {
        const { trunk, instead } = dialling(data)
        out.push(`region ${iso}`)
        for (const pattern of trunk)
            out.push(`trunk ${pattern}`)
        for (const pattern of instead)
            out.push(`instead ${pattern}`)
        if (always(data))
            out.push(`always ${data[PREFIX]}`)
        if (data[IDD])
            out.push(`abroad ${uncaptured(data[IDD])}`)
    }
}
// The regions that write most in the languages that chatbots speak; North America has shapes of its own.
out.push('', 'common GB FR DE IT ES NL BE CH AT SE DK NO FI PL PT IE CZ GR BR MX AR IN CN JP KR IL AU NZ ZA ' +
    'TR RU UA SG HK')
console.log(out.join('\n'))
