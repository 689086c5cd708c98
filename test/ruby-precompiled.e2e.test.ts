import { expect, it } from 'vitest'
import { bale, serveAndAsk } from './helpers/bale.ts'
import { readImageFiles } from './helpers/image-files.ts'
import { buildThroughMirrors, type Files, packDebian } from './helpers/mise-server.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

// mise is the real program, from the npm registry. The Ruby is Debian's, packed as the precompiled ones are, which run from any
// directory: their hosts are not reachable from everywhere.

const pack = `mkdir -p "$1/ruby/bin" "$1/ruby/lib"
cp "$2/usr/bin/ruby3.3" "$1/ruby/bin/ruby.real"
cp -r "$2/usr/lib/ruby" "$1/ruby/lib/ruby"
rm -rf "$1/ruby/lib/ruby/vendor_ruby"
cp -rL "$2/usr/lib/x86_64-linux-gnu" "$1/ruby/lib/"
cat > "$1/ruby/bin/ruby" <<'END'
#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
export RUBYLIB="$here/lib/ruby/3.3.0:$here/lib/x86_64-linux-gnu/ruby/3.3.0" LD_LIBRARY_PATH="$here/lib/x86_64-linux-gnu"
exec "$here/bin/ruby.real" "$@"
END
chmod 755 "$1/ruby/bin/ruby"
sed '1s|.*|#!/usr/bin/env ruby|' "$2/usr/bin/bundle3.3" > "$1/ruby/bin/bundle"
chmod 755 "$1/ruby/bin/bundle"`

const app = `require 'socket'
server = TCPServer.new('0.0.0.0', ENV.fetch('PORT'))
while (client = server.accept)
  client.gets("\\r\\n\\r\\n")
  body = "#{RUBY_ENGINE} #{Gem.ruby_api_version} #{$LOAD_PATH.grep(/bale_ruby/).any?}"
  client.print "HTTP/1.1 200 OK\\r\\nContent-Length: #{body.size}\\r\\nConnection: close\\r\\n\\r\\n#{body}"
  client.close
end
`

const tag = '3.3.99-1'
const archiveAddress = `github.com/jdx/ruby/releases/download/${tag}/ruby-3.3.99.x86_64_linux.tar.gz`

/** The answers of the host with the releases. */
const filesFor = (archive: Buffer, digest: string): Files => {
  const name = archiveAddress.split('/').at(-1)
  const asset = { name, browser_download_url: `https://${archiveAddress}`, digest: `sha256:${digest}` }
  const release = {
    tag_name: tag,
    draft: false,
    prerelease: false,
    created_at: '2025-10-08T00:00:00Z',
    assets: [{ ...asset, url: 'https://api.github.com/repos/jdx/ruby/releases/assets/1' }],
  }
  const api = 'api.github.com/repos/jdx/ruby/releases'
  return {
    [api]: JSON.stringify([release]),
    [`${api}/tags/${tag}`]: JSON.stringify(release),
    [archiveAddress]: archive,
  }
}

it('runs an application with a precompiled Ruby that Debian does not have, and builds it again without the network', async () => {
  const archive = await packDebian('ruby', ['ruby3.3'], pack)
  const image = 'bale-test-ruby-precompiled'
  const dir = await temporaryDirectory()
  await writeTree(dir, {
    'app.rb': app,
    Gemfile: '',
    'Gemfile.lock': 'GEM\n  specs:\n\nPLATFORMS\n  ruby\n  x86_64-linux\n\nDEPENDENCIES\n',
  })
  const run = (mirror: string, ...more: string[]) => {
    const env = [`BP_DEPENDENCY_MIRROR=${mirror}`, 'BP_MRI_VERSION=3.3.99']
    return bale(['build', image, '--path', dir, ...env.flatMap(each => ['--env', each]), ...more])
  }
  const { mirror, requests, output } = await buildThroughMirrors(archive, filesFor, run)
  expect(output).toContain('Ruby 3.3.99: BP_MRI_VERSION asks for 3.3.99')
  expect(requests).toContain(archiveAddress)
  expect((await serveAndAsk(image)).body).toBe('ruby 3.3.0 true')
  expect((await readImageFiles(image)).paths.filter(path => /\/mise\b/.test(path))).toEqual([])

  const offline = await run(mirror, '--network', 'none')
  expect(offline.code, offline.output).toBe(0)
  expect(offline.output).toContain(`${tag} is used again`)
}, 900_000)
