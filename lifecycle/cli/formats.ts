import { formatToml } from '../spec/toml.ts'
import type { OutputFormat } from './options.ts'
import { printableJson } from './text.ts'

/**
 * A value for programs. What could drive a terminal is escaped, as in JSON (O08).
 * @param format not `human`
 */
export async function formatValue(value: object, format: OutputFormat): Promise<string> {
  if (format === 'json' || format === 'human') return printableJson(value)
  // Undefined values are left out, and texts are escaped, on the way through JSON.
  const plain = JSON.parse(printableJson(value)) as Record<string, unknown>
  if (format === 'toml') return formatToml(plain).trimEnd()
  const { dump } = await import('js-yaml')
  return dump(plain, { lineWidth: -1, noRefs: true }).trimEnd()
}
