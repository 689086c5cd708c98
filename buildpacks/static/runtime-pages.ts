import { posix } from 'node:path'
import { shellQuote } from '../sdk/index.ts'

/** A page that is written again where the image runs. */
export interface RuntimePage {
  /** Its path as browsers know it. */
  readonly path: string
  /** Its file. */
  readonly file: string
}

/** nginx's variable with what distinguishes a page that is written again: a part of its ETag. */
export const pageVersion = '$page_version'

/**
 * Commands that write the variables PUBLIC_WEB_* into the start tag of a page's head: `data-public_web_api_url="…"`, which scripts read as
 * `document.head.dataset.public_web_api_url`. They set `version`, and leave pages in `$dir/pages`.
 */
export function writePages(pages: readonly RuntimePage[]): string {
  if (pages.length === 0) return ''
  const each = pages.map(({ path, file }) => `write_page ${shellQuote(path)} ${shellQuote(file)}`)
  return `version=
names=$(env | sed -n 's/^\\(PUBLIC_WEB_[A-Za-z0-9_]*\\)=.*/\\1/p' | LC_ALL=C sort -u)
if [ -n "$names" ]; then
  attributes=
  for name in $names; do
    # A line of another variable's value may look like a variable.
    eval "[ -n \\"\\\${$name+x}\\" ]" || continue
    eval "value=\\$$name"
    value=$(printf %s "$value" | sed -z -e 's/&/\\&amp;/g' -e 's/"/\\&quot;/g' -e 's/</\\&lt;/g' -e 's/\\n/\\&#10;/g')
    attributes="$attributes data-$(printf %s "$name" | tr A-Z a-z)=\\"$value\\""
  done
  version="-$(printf %s "$attributes" | cksum | cut -d' ' -f1)"
  replacement=$(printf %s "$attributes" | sed 's/[\\\\&|]/\\\\&/g')
  write_page() {
    mkdir -p "$dir/pages\${1%/*}"
    # HTML leaves the start tag of the head, and that of html, to whoever reads it (html.spec.whatwg.org, "Optional tags").
    sed -z -e "s|<[hH][eE][aA][dD]\\([[:space:]/>]\\)|<head$replacement\\1|;t" \\
      -e "s|<[hH][tT][mM][lL]\\([[:space:]][^>]*\\)*>|&<head$replacement>|;t" \\
      -e "s|<![dD][oO][cC][tT][yY][pP][eE][^>]*>|&<head$replacement>|;t" -e "s|^|<head$replacement>|" "$2" >"$dir/pages$1"
  }
  ${each.join('\n  ')}
fi
`
}

/** Commands that print the part of nginx's `server` block for pages that were written again. */
export function servePages(pages: readonly RuntimePage[]): string {
  if (pages.length === 0) return ''
  const lines = pages.flatMap(({ path }) => {
    const { dir, name, ext } = posix.parse(path)
    const plain = ext === '.html' ? [`location = "${posix.join(dir, name)}" { rewrite ^ "${path}" last; }`] : []
    return [`location = "${path}" { root "'"$dir"'/pages"; gzip on; gzip_types text/plain; }`, ...plain]
  })
  return `  if [ -n "$version" ]; then
${lines.map(line => `    echo '${line}'`).join('\n')}
  fi
`
}

/** Commands that print the part of nginx's `http` block, for its end: sizes of maps cannot be set after the first map. */
export const declareVersion = (pages: readonly RuntimePage[]): string =>
  pages.length === 0 ? '' : `  echo "map \\$host \\${pageVersion} { default \\"$version\\"; }"\n`
