import { type App, isServeName, noSubcommand, programFiles, type Subcommand } from '../sdk/index.ts'
import { closingBracket, inBrackets } from '../sdk/subcommand.ts'

/** A struct or an enum for which clap derives something. */
interface Derived {
  readonly place: string
  readonly kind: string
  readonly name: string
  readonly attributes: string
  readonly body: string
}

/** A field or a variant, with its preceding attributes. */
interface Item {
  readonly attributes: string
  readonly text: string
}

/**
 * What a program does without arguments, if clap derives its commands: it requires one, and one of them is called `serve` or `server`
 * and needs no further argument.
 * @param dir the folder of its sources: `src/`
 */
export async function clapSubcommand(app: App, dir: string): Promise<Subcommand> {
  const found: Derived[] = []
  for (const file of await programFiles(app, '.rs')) {
    if (!file.startsWith(dir)) continue
    const source = ((await app.read(file)) ?? '').replaceAll(/^[ \t]*\/\/.*$/gm, '')
    // The analysis does not understand commands from a builder, nor a program that reads its arguments from elsewhere.
    if (/\bCommand::new\(|\bparse_from\(|\bfallback_subcommand\b/.test(source) && /\bclap\b/.test(source))
      return noSubcommand
    found.push(...derivedIn(file, source))
  }
  const parsers = found.flatMap(struct => {
    const isParser = struct.kind === 'struct' && /\bParser\b/.test(struct.attributes)
    const field = isParser ? itemsOf(struct.body).find(({ attributes }) => isCommandField.test(attributes)) : undefined
    return field === undefined ? [] : [{ struct, field }]
  })
  const [parser, ...others] = parsers
  if (parser === undefined || others.length > 0) return noSubcommand
  const { struct, field } = parser
  const type = /:\s*(?:\w+::)*(\w+)\s*$/.exec(field.text)?.[1]
  // Option means that no command is required, and the target of a type alias is not known.
  const [commands, ...more] = found.filter(({ kind, name }) => kind === 'enum' && name === type)
  if (commands === undefined || more.length > 0) return noSubcommand
  const unclear: Subcommand = { state: 'unclear', where: struct.place }
  const [serve, ...servers] = itemsOf(commands.body).filter(({ text }) => isServeName(/^\w*/.exec(text)?.[0] ?? ''))
  const isRenamed = /\brename|\bname\s*=/.test(serve?.attributes ?? '') || /\brename_all\b/.test(commands.attributes)
  if (serve === undefined || servers.length > 0 || isRenamed) return unclear
  const isOptional = fieldsOf(serve, found).every(needsNoValue)
  const rest = itemsOf(struct.body).filter(({ text }) => text !== field.text)
  if (!isOptional || !rest.every(needsNoValue)) return unclear
  return { state: 'serves', name: (/^\w*/.exec(serve.text)?.[0] ?? '').toLowerCase(), where: commands.place }
}

const isCommandField = /#\[(?:command|clap)\([^\]]*\bsubcommand\b/

function derivedIn(file: string, source: string): Derived[] {
  const types = source.matchAll(
    /((?:#\[[^\]]*\]\s*)*#\[derive\([^\]]*\b(?:Parser|Subcommand|Args)\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*)(?:pub(?:\([^)]*\))?\s+)?(struct|enum)\s+(\w+)\s*\{/g,
  )
  return Array.from(types, ({ 0: all, 1: attributes = '', 2: kind = '', 3: name = '', index }) => ({
    place: `${file}:${source.slice(0, index + attributes.length).split('\n').length}`,
    kind,
    name,
    attributes,
    body: inBrackets(source, index + all.length - 1),
  }))
}

/** The parts of a body that are separated by commas outside of brackets. */
function itemsOf(body: string): Item[] {
  const items: string[] = []
  let start = 0
  for (let at = 0; at < body.length; at++) {
    if (/[({[]/.test(body[at] ?? '')) at = closingBracket(body, at)
    else if (body[at] === ',' && !isInAngles(body.slice(start, at))) {
      items.push(body.slice(start, at))
      start = at + 1
    }
  }
  return [...items, body.slice(start)]
    .map(item => {
      const attributes = /^(?:\s*#\[(?:[^\]"]|"[^"]*")*\])*\s*/.exec(item)?.[0] ?? ''
      return { attributes, text: item.slice(attributes.length).trim() }
    })
    .filter(({ text }) => text !== '')
}

/** Whether a part ends inside angle brackets, such as `HashMap<String` of `HashMap<String, u16>`. */
const isInAngles = (text: string): boolean =>
  (text.match(/</g)?.length ?? 0) > (text.replaceAll(/[-=]>/g, '').match(/>/g)?.length ?? 0)

/** The fields of a variant: its own, or those of the struct that it holds. For an unknown struct, one field that needs a value. */
function fieldsOf({ text }: Item, all: readonly Derived[]): Item[] {
  const open = text.search(/[({]/)
  if (open === -1) return []
  const inner = inBrackets(text, open)
  if (text[open] === '{') return itemsOf(inner)
  const held = /(\w+)\s*$/.exec(inner.trim())?.[1]
  const [struct] = all.filter(({ kind, name }) => kind === 'struct' && name === held)
  return struct === undefined ? [{ attributes: '', text: inner }] : itemsOf(struct.body)
}

/** Whether an argument may be left out. Of the variables only PORT is always set. */
function needsNoValue({ attributes, text }: Item): boolean {
  if (/\b(?:subcommand|flatten|required)\b/.test(attributes)) return false
  if (/\b(?:default_value\w*|skip|num_args\s*=\s*0)\b/.test(attributes) || /\benv\s*=\s*"PORT"/.test(attributes))
    return true
  return /:\s*(?:(?:std::)?option::)?Option\s*<|:\s*(?:bool|\(\))$|:\s*Vec\s*</.test(text)
}
