/** The sections with requirements of a document, and the line of each requirement. */
export function requirementsIn(text: string): { section: string; lines: number[] }[] {
  const found: { section: string; lines: number[] }[] = []
  let path: string[] = []
  let fenced = false
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*```/.test(line)) fenced = !fenced
    const heading = fenced ? null : /^(#+) (.*?)\s*$/.exec(line)
    if (heading)
      path = [...path.slice(0, (heading[1] as string).length - 1), (heading[2] as string).replaceAll('`', '')]
    const lines = [...line.matchAll(/\b(?:MUST|SHOULD|SHALL|REQUIRED)\b/g)].map(() => index + 1)
    // The first heading is the document's own.
    const section = path.slice(1).filter(Boolean).join(' › ')
    if (lines.length === 0) continue
    const last = found.at(-1)
    if (last?.section === section) last.lines.push(...lines)
    else found.push({ section, lines })
  }
  return found
}
