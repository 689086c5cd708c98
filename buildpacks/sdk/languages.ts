import type { Language } from './language.ts'
import { generators, jekyll } from './site-generators.ts'
import { otherScripts, serverFiles, serverScripts } from './start-files.ts'

/** Languages whose compilers are in Debian: the packages work in the build image, but not in a layer. */
const byStack =
  'a stack of your own with its compiler among the build packages (bale stack create), BP_LANGUAGE=make, and RAILPACK_BUILD_CMD with the command that compiles it'

/** A program that is already compiled is an application like any other: a Procfile starts it. */
const compiledBefore = (command: string) =>
  `compile it first (${command}), and build the folder of the program, with a Procfile that starts it; RAILPACK_DEPLOY_APT_PACKAGES names libraries that it needs`

/** Directories that may hold a site, by precedence. */
export const siteRoots = [
  ...['public', 'dist', 'build', 'out', '_site', 'site', 'www', 'htdocs', 'public_html'],
  '.',
] as const

/** Configuration files of Hugo. `config` was the name until 2022, and many other tools use it. */
export const hugoConfigs: readonly string[] = ['hugo', 'config'].flatMap(name =>
  ['toml', 'yaml', 'yml', 'json'].map(ending => `${name}.${ending}`),
)

/** Usual places of several lists of Python requirements; the one for production comes first. */
export const requirementsFiles: readonly string[] = [
  ...['production', 'prod', 'deploy', 'requirements', 'main', 'base', 'common'].map(name => `requirements/${name}.txt`),
  ...['requirements-prod.txt', 'requirements-production.txt', 'requirements.prod.txt'],
  // Files from which pip-tools and uv compile a requirements.txt.
  ...['requirements.in', 'requirements/production.in', 'requirements/base.in'],
]

/** Files that start a Python application. */
export const pythonStarts: readonly string[] = [
  'manage.py',
  'main.py',
  'app.py',
  'wsgi.py',
  'asgi.py',
  'server.py',
  'run.py',
  'application.py',
  'streamlit_app.py',
  'bot.py',
  'src/main.py',
  'src/app.py',
  'app/main.py',
  'app/__init__.py',
]

/**
 * Languages by precedence: if evidence is equally strong, the first one wins. Node.js comes after the languages of other servers, since
 * many of their applications have a package.json for their front end. The list includes languages that Bale does not build, so that
 * messages name them correctly.
 */
export const languages: readonly Language[] = [
  {
    id: 'php',
    name: 'PHP',
    provides: 'php',
    manifests: ['composer.json', 'artisan'],
    starts: ['index.php', 'public/index.php', 'web/index.php', 'htdocs/index.php', 'webroot/index.php', 'artisan'],
    sources: ['*.php', 'public/*.php', 'web/*.php', 'htdocs/*.php', 'src/*.php'],
    programs: [
      'php',
      'php-fpm',
      'serve-php',
      'vendor/bin/heroku-php-apache2',
      'heroku-php-apache2',
      'heroku-php-nginx',
    ],
    settings: ['BP_PHP_SERVER', 'BP_PHP_WEB_DIR'],
  },
  {
    id: 'go',
    name: 'Go',
    aliases: ['golang'],
    provides: 'go',
    manifests: ['go.mod', 'go.work', 'Gopkg.toml', 'glide.yaml'],
    starts: ['*.go', 'cmd/*', 'go.work'],
    sources: ['*.go', 'cmd/*/*.go'],
    programs: ['go'],
    settings: ['BP_GO_TARGETS'],
  },
  {
    id: 'java',
    name: 'Java',
    aliases: ['jvm', 'kotlin'],
    provides: 'jre',
    manifests: ['pom.xml', 'pom.*', 'build.gradle', 'build.gradle.kts', 'settings.gradle', 'settings.gradle.kts'],
    sources: [
      '*.jar',
      '*.war',
      '*.java',
      'META-INF/MANIFEST.MF',
      'WEB-INF/web.xml',
      'WEB-INF/classes/*',
      'WEB-INF/lib/*.jar',
      'lib/*.jar',
      '*/lib/*.jar',
    ],
    programs: ['java', 'mvn', './mvnw', 'gradle', './gradlew'],
  },
  {
    id: 'scala',
    name: 'Scala',
    provides: 'jre',
    manifests: ['build.sbt'],
    programs: ['sbt', 'scala'],
  },
  {
    id: 'clojure',
    name: 'Clojure',
    provides: 'jre',
    manifests: ['project.clj', 'deps.edn'],
    programs: ['lein', 'clojure', 'clj'],
    settings: ['BP_CLJ_TOOLS_BUILD_ARGUMENTS'],
  },
  {
    id: 'mill',
    name: 'Scala without sbt',
    manifests: ['build.sc', 'build.mill', 'project.scala'],
    instead: 'make an executable jar first (mill NAME.assembly), and build the folder that holds it',
    programs: ['mill', './mill', 'scala-cli'],
  },
  {
    id: 'rust',
    name: 'Rust',
    provides: 'rust',
    manifests: ['Cargo.toml'],
    starts: ['src/main.rs', 'src/bin/*', 'main.rs', '*/src/main.rs', 'crates/*'],
    programs: ['cargo'],
    settings: ['BP_CARGO_INSTALL_ARGS', 'BP_CARGO_WORKSPACE_MEMBERS'],
  },
  {
    id: 'ruby',
    name: 'Ruby',
    provides: 'ruby',
    manifests: ['Gemfile', 'gems.rb'],
    starts: ['config.ru', 'config/application.rb', 'config/puma.rb', 'bin/rails', 'app.rb', 'main.rb', 'server.rb'],
    sources: ['*.rb', 'config.ru'],
    programs: ['ruby', 'bundle', 'rails', 'bin/rails', 'rackup', 'puma', 'unicorn', 'thin', 'rake', 'sidekiq'],
  },
  {
    id: 'elixir',
    name: 'Elixir',
    aliases: ['phoenix'],
    provides: 'elixir',
    manifests: ['mix.exs'],
    programs: ['mix', 'elixir', 'iex', 'erl'],
  },
  {
    id: 'dotnet',
    name: '.NET',
    aliases: ['.net', 'csharp', 'c#', 'aspnetcore', 'dotnetcore'],
    manifests: ['*.csproj', '*.fsproj', '*.vbproj', '*.sln', '*.slnx', 'src/*.csproj', '*/*.csproj'],
    sources: ['*.cs', '*.fs', '*.runtimeconfig.json'],
    instead:
      'publish it with the runtime in it (dotnet publish --self-contained --runtime linux-x64 --output out), and build the folder out, with a Procfile in it: "web: ./NAME --urls http://0.0.0.0:$PORT"; RAILPACK_DEPLOY_APT_PACKAGES=libicu76 has what it needs for languages and regions, or InvariantGlobalization in the project does without',
    programs: ['dotnet'],
  },
  {
    id: 'python',
    name: 'Python',
    provides: 'python',
    manifests: [
      'requirements.txt',
      'uv.lock',
      'poetry.lock',
      'pdm.lock',
      'Pipfile.lock',
      'Pipfile',
      'manage.py',
      'pyproject.toml',
      'setup.py',
      ...requirementsFiles,
      'environment.yml',
      'environment.yaml',
      'pixi.toml',
    ],
    starts: pythonStarts,
    sources: ['*.py', 'src/*.py', 'app/*.py', ...requirementsFiles],
    programs: [
      'python',
      'python3',
      'gunicorn',
      'uvicorn',
      'hypercorn',
      'daphne',
      'waitress-serve',
      'granian',
      'flask',
      'fastapi',
      'django-admin',
      'streamlit',
      'celery',
      'chainlit',
      'uv',
      'poetry',
      'pipenv',
      'pdm',
    ],
    settings: ['BP_PIP_REQUIREMENT', 'BP_PYTHON_ENTRYPOINT'],
  },
  {
    id: 'nodejs',
    name: 'Node.js',
    aliases: ['node', 'javascript', 'typescript', 'bun', 'deno'],
    provides: 'node',
    manifests: ['package.json', 'deno.json', 'deno.jsonc', 'deno.lock'],
    starts: serverFiles,
    sources: [...serverScripts, ...otherScripts],
    programs: ['node', 'npm', 'npx', 'yarn', 'pnpm', 'bun', 'deno', 'next', 'nuxt', 'nest', 'ts-node', 'tsx', 'pm2'],
    settings: ['BP_NODE_PROJECT_PATH', 'BP_LAUNCHPOINT'],
  },
  { id: 'swift', name: 'Swift', manifests: ['Package.swift'], instead: byStack, programs: ['swift'] },
  {
    id: 'dart',
    name: 'Dart',
    manifests: ['pubspec.yaml'],
    instead: compiledBefore('dart compile exe bin/server.dart -o out/server'),
    programs: ['dart', 'flutter'],
  },
  {
    id: 'haskell',
    name: 'Haskell',
    manifests: ['stack.yaml', '*.cabal', 'cabal.project'],
    instead: byStack,
    programs: ['stack', 'cabal'],
  },
  { id: 'crystal', name: 'Crystal', manifests: ['shard.yml'], instead: byStack, programs: ['crystal'] },
  {
    id: 'gleam',
    name: 'Gleam',
    manifests: ['gleam.toml'],
    instead: 'compile it to JavaScript (gleam build --target javascript), and build that with Node.js',
    programs: ['gleam'],
  },
  { id: 'erlang', name: 'Erlang', manifests: ['rebar.config', 'erlang.mk'], programs: ['erl', 'rebar3'] },
  {
    id: 'nim',
    name: 'Nim',
    manifests: ['*.nimble'],
    instead: compiledBefore('nimble build -d:release'),
    programs: ['nim', 'nimble'],
  },
  {
    id: 'zig',
    name: 'Zig',
    manifests: ['build.zig'],
    instead: compiledBefore('zig build -Doptimize=ReleaseSafe --prefix out'),
    programs: ['zig'],
  },
  { id: 'ocaml', name: 'OCaml', manifests: ['dune-project', '*.opam'], instead: byStack, programs: ['dune', 'ocaml'] },
  {
    id: 'perl',
    name: 'Perl',
    instead:
      'an Aptfile with perl and the packages that Debian has of its modules (starman, libmojolicious-perl), and a Procfile: "web: starman --listen 0.0.0.0:$PORT app.psgi"',
    manifests: ['cpanfile', 'Makefile.PL'],
    sources: ['*.pl', '*.psgi'],
    programs: ['perl', 'plackup'],
  },
  { id: 'r', name: 'R', manifests: ['renv.lock', 'init.R'], sources: ['*.R'], programs: ['Rscript', 'R'] },
  { id: 'julia', name: 'Julia', manifests: ['Project.toml'], sources: ['*.jl'], programs: ['julia'] },
  { id: 'lua', name: 'Lua', manifests: ['*.rockspec'], sources: ['*.lua'], programs: ['lua', 'luajit', 'lapis'] },
  {
    id: 'cpp',
    name: 'C or C++',
    listedAs: 'C, C++',
    aliases: ['c', 'c++', 'make', 'cmake'],
    provides: 'make',
    manifests: ['CMakeLists.txt'],
    helpers: ['Makefile', 'makefile', 'GNUmakefile', 'configure'],
    sources: ['*.c', '*.cc', '*.cpp', '*.cxx', 'src/*.c', 'src/*.cc', 'src/*.cpp', 'src/*.cxx'],
    programs: [],
    settings: ['BP_CMAKE_ARGUMENTS', 'BP_MAKE_ARGUMENTS'],
  },
  jekyll,
  {
    id: 'static',
    name: 'static site',
    listedAs: 'static sites',
    aliases: ['staticfile', 'html', 'nginx'],
    provides: 'nginx',
    manifests: ['Staticfile', 'static.json', ...hugoConfigs, 'project.toml'],
    sources: [
      ...siteRoots.map(root => (root === '.' ? 'index.html' : `${root}/index.html`)),
      'nginx.conf',
      'book.toml',
    ],
    programs: ['nginx'],
    settings: [
      'BP_WEB_SERVER',
      'BP_WEB_SERVER_ROOT',
      'BP_NGINX_CONF_LOCATION',
      'RAILPACK_STATIC_FILE_ROOT',
      'RAILPACK_SPA_OUTPUT_DIR',
    ],
  },
  ...generators,
]
