import { formatToml } from '../spec/toml.ts'
import type { OutputFormat } from './output-format.ts'
import { printableJson } from './text.ts'

/**
 * Formats a value for programs. Escapes terminal control characters, as in JSON (O08).
 * @param format not `human`
 */
export async function formatValue(value: object, format: OutputFormat): Promise<string> {
  if (format === 'json' || format === 'human') return printableJson(value)
  // The detour through JSON leaves out undefined values and escapes texts.
  const plain = JSON.parse(printableJson(value)) as Record<string, unknown>
  if (format === 'toml') return formatToml(plain).trimEnd()
  const { dump } = await import('js-yaml')
  return dump(plain, { lineWidth: -1, noRefs: true }).trimEnd()
}
