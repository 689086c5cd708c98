import { describe, expect, it } from 'vitest'
import { isDenied, readHtaccess } from '../../buildpacks/php/htaccess.ts'
import { phpRouter } from '../../buildpacks/php/php-router.ts'
import { publicFiles, publicPaths } from '../../buildpacks/php/public-files.ts'
import { appOf } from '../helpers/app.ts'
import type { Tree } from '../helpers/tree.ts'

const read = async (tree: Tree) => readHtaccess(await appOf(tree), '.')
const denied = (block: string, argument: string) => `<${block} ${argument}>\nRequire all denied\n</${block}>\n`

describe('a .htaccess', () => {
  it.each<[string, string, string[], string[]]>([
    ['an expression without case', denied('FilesMatch', '"(?i)\\.(sql|bak)$"'), ['/a.SQL', '/b/a.bak'], ['/a.sqlx']],
    ['a group without case', denied('FilesMatch', '"\\.(?i:php|inc)$"'), ['/a.PhP', '/a.inc'], ['/a.txt']],
    ['a block on one line', '<FilesMatch "(?i)\\.bak$">Require all denied</FilesMatch>', ['/a.BAK'], ['/a']],
    ['single quotes', denied('FilesMatch', "'\\.(log|sql)$'"), ['/later.log', '/a.sql'], ['/a.txt']],
    ['an escaped sign', denied('FilesMatch', '"^a\\-b\\~\\.txt$"'), ['/a-b~.txt'], ['/ab.txt']],
    ['a comment', `# <Files old.php>\n${denied('Files', 'new.php')}`, ['/new.php', '/new.php/x'], ['/old.php']],
    ['a pattern', denied('Files', '"[!a-c]?.l*"'), ['/dx.log'], ['/ax.log', '/d.log']],
    ['a backup', denied('Files', 'wp-config.php~'), ['/wp-config.php~'], ['/wp-config.php']],
    ['an expression in Files', denied('Files', '~ "^x"').replace('</Files ~', '</Files'), ['/xy'], ['/y']],
    [
      'a directory whose name is that of a PHP file',
      'Deny from all\n<Files a.css>\nAllow from all\n</Files>\n',
      ['/x.php/a.css'],
      ['/a.css', '/sub/a.css'],
    ],
  ])('with %s closes the files that it names', async (_, text, closed, open) => {
    const { scopes, lost } = await read({ 'd/.htaccess': text })
    for (const path of closed) expect(isDenied(scopes, `/d${path}`), path).toBe(true)
    for (const path of open) expect(isDenied(scopes, `/d${path}`), path).toBe(false)
    for (const path of closed) expect(isDenied(scopes, path.replace('/x.php', '')), path).toBe(false)
    expect(lost).toEqual([])
  })

  it.each([
    ['a named group', denied('FilesMatch', '"(?P<name>x)"')],
    ['a class of PCRE', denied('FilesMatch', '"[[:digit:]]x"')],
    ['an unknown escape', denied('FilesMatch', '"\\Aa"')],
    ['an empty class, which PCRE reads on', denied('FilesMatch', '"[]a]"')],
    ['an argument without end', denied('FilesMatch', '"a')],
    ['a rule for a method', '<Files up.php><LimitExcept POST>Require all denied</LimitExcept></Files>'],
    ['a rule for some requests', '<If "%{HTTP_HOST} == \'x\'">\nRequire all denied\n</If>'],
    ['the denial of everything', 'Require all denied\n'],
    ['a redirect', 'Redirect 301 /a /b\n'],
  ])('with %s is named, and closes nothing', async (_, text) => {
    expect(await read({ '.htaccess': text, 'up.php': '' })).toEqual({ scopes: [], closedPhp: [], lost: ['.htaccess'] })
  })

  it('that only passes paths to index.php is complete', async () => {
    const text = 'RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^ index.php [L]\n'
    expect(await read({ '.htaccess': text })).toEqual({ scopes: [], closedPhp: [], lost: [] })
  })

  it('counts more than those of the directories above', async () => {
    const { scopes } = await read({
      '.htaccess': denied('FilesMatch', '"\\.json$"'),
      'api/.htaccess': '<Files openapi.json>\nRequire all granted\n</Files>\n',
      'data/.htaccess': '<IfModule x>\r\n Deny from all\r\n</IfModule>\r\n<Files "*.svg">\nAllow from all\n</Files>\n',
      'data/open/.htaccess': 'Require all granted\n',
      'data/own/.htaccess': 'Deny from all\n',
    })
    const open = ['/api/openapi.json', '/api/v1/openapi.json', '/data/a.svg', '/data/open/x.csv']
    for (const path of open) expect(isDenied(scopes, path), path).toBe(false)
    const closed = ['/openapi.json', '/api/b.json', '/data/', '/data/x.csv', '/data/own/a.svg', '/data/open/x.json']
    for (const path of closed) expect(isDenied(scopes, path), path).toBe(true)
  })

  it('that grants PHP files in a directory that it closes leaves them closed, and they are named', async () => {
    const text = 'Deny from all\n<FilesMatch "^(a|b)\\.(php|css)$">\nAllow from all\n</FilesMatch>\n'
    const { scopes, closedPhp } = await read({ 'x/.htaccess': text, 'x/a.php': '', 'x/in/b.php': '', 'x/c.php': '' })
    expect(closedPhp).toEqual(['/x/a.php', '/x/in/b.php'])
    expect(isDenied(scopes, '/x/a.php')).toBe(true)
    expect(isDenied(scopes, '/x/a.css')).toBe(false)
  })

  it('keeps the digests of what it denies out of the table of ETags, but not of what it grants', async () => {
    const app = await appOf({
      '.htaccess': denied('Files', '"*.key.txt"'),
      'a.txt': 'a',
      'b.key.txt': 'b',
      'data/.htaccess': 'Deny from all\n<Files "*.css">\nAllow from all\n</Files>\n',
      'data/a.css': 'c',
      'data/users.csv': 'd',
    })
    const { scopes } = await readHtaccess(app, '.')
    const files = await publicFiles(app.path, publicPaths({ hidden: [], scopes, changing: [] }))
    expect(files.map(({ path }) => path)).toEqual(['/a.txt', '/data/a.css'])
  })

  it('is part of the program of PHP’s own server, where a name may hold any sign', async () => {
    const { scopes } = await read({ "it's/.htaccess": denied('Files', 'wp-config.php~') })
    const program = phpRouter(['^/(?:a~b)/'], scopes)
    expect(program).toContain("['/it\\'s/', false, [['^wp-config\\\\.php~$', true]]],")
    // A backup of wp-config.php ended the expression that ~ delimited.
    expect(program).toContain('preg_match("\\x01" . $pattern . "\\x01" . $flags, $text)')
  })
})
