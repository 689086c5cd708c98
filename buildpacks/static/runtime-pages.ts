import { join } from 'node:path'
import { BuildpackError, shellQuote } from '../sdk/index.ts'
import type { SiteFile } from './files.ts'
import type { ProjectConfig } from './project-config.ts'
import type { Site } from './site.ts'

/** A page that is rewritten at run time. */
export interface RuntimePage {
  /** Its path for browsers. */
  readonly path: string
  /** Its file. */
  readonly file: string
  /** The path without `.html`, unless another file has it. */
  readonly short: string | undefined
}

/**
 * The pages that get the image's variables: those that project.toml names, or the first one that a browser requests.
 * @param root the server's root directory, with the site's files
 * @throws BuildpackError for a named page that does not exist
 */
export function runtimePages(
  { index, pushState, prefix }: Site,
  { pages }: ProjectConfig,
  files: readonly SiteFile[],
  root: string,
): RuntimePage[] {
  const names = pages?.names ?? [index, ...(pushState === undefined ? [] : [pushState])]
  const there = new Set(files.map(({ path }) => path))
  return [...new Set(names)].flatMap(name => {
    const path = `${prefix}/${name}`
    if (!there.has(path)) {
      if (pages === undefined) return []
      throw new BuildpackError(`there is no page ${name} in the site`, {
        where: pages.where,
        fix: 'name pages from the root of the site',
      })
    }
    const short = path.replace(/\.html$/, '')
    return [{ path, file: join(root, path), short: there.has(short) ? undefined : short }]
  })
}

/** nginx's variable with the version of a rewritten page, a part of its ETag. */
export const pageVersion = '$page_version'

/**
 * Commands that write the variables PUBLIC_WEB_* into the start tag of a page's head: `data-public_web_api_url="…"`, which scripts read
 * as `document.head.dataset.public_web_api_url`. They set `version`, and write the pages to `$dir/pages`.
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

/** Commands that print the part of nginx's `server` block for rewritten pages. */
export function servePages(pages: readonly RuntimePage[]): string {
  if (pages.length === 0) return ''
  const lines = pages.flatMap(({ path, short }) => [
    `location = "${path}" { root "'"$dir"'/pages"; gzip on; }`,
    ...(short === undefined ? [] : [`location = "${short}" { rewrite ^ "${path}" last; }`]),
  ])
  return `  if [ -n "$version" ]; then
${lines.map(line => `    echo '${line}'`).join('\n')}
  fi
`
}

/** Commands that print the end of nginx's `http` block, since sizes of maps cannot be set after the first map. */
export const declareVersion = (pages: readonly RuntimePage[]): string =>
  pages.length === 0 ? '' : `  echo "map \\$host \\${pageVersion} { default \\"$version\\"; }"\n`
