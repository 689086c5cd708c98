import { type App, BuildpackError, type LaunchProcess, shellProcess, shellQuote } from '../sdk/index.ts'

/** What starts the application, and why this. */
export interface Start {
  readonly command: string
  readonly why: string
}

/** The application as far as its start depends on it. */
export interface Facts {
  readonly app: App
  /** Names of gems; empty without a Gemfile. */
  readonly gems: ReadonlySet<string>
  readonly hasGemfile: boolean
}

const host = '0.0.0.0'
const port = '${PORT:-8080}'
/** Programs without a config.ru, in the order in which they are tried. */
export const programs: readonly string[] = ['app.rb', 'main.rb', 'server.rb', 'web.rb', 'src/main.rb', 'src/app.rb']

/** Rails: its gem, and what every application of it has. */
export async function isRails({ app, gems }: Facts): Promise<boolean> {
  return gems.has('railties') && (await app.has('config/application.rb'))
}

/** What starts the application; undefined if nothing is recognised. */
export async function findStart(facts: Facts): Promise<Start | undefined> {
  const { app, gems, hasGemfile } = facts
  if (await isRails(facts)) {
    return { command: `${await rails(app)} server --binding ${host} --port ${port}`, why: 'it is a Rails application' }
  }
  if (await app.has('config.ru')) return rackStart(facts)
  const program = await app.firstOf(programs)
  if (program !== undefined) {
    return { command: `${hasGemfile ? 'bundle exec ' : ''}ruby ${shellQuote(program)}`, why: `${program} is there` }
  }
  if (gems.has('rake') && (await hasRakefile(app))) {
    return { command: 'bundle exec rake', why: 'the Rakefile has a default task' }
  }
  return undefined
}

/** Servers of Rack applications, the most usual first, with what makes them listen. */
const servers: readonly (readonly [gem: string, command: (app: App) => Promise<string>])[] = [
  ['puma', () => Promise.resolve(`puma --bind tcp://${host}:${port}`)],
  ['falcon', () => Promise.resolve(`falcon serve --bind http://${host}:${port}`)],
  [
    'unicorn',
    async app => {
      const file = await app.firstOf(['config/unicorn.rb', 'unicorn.rb'])
      return `unicorn --listen ${host}:${port}${file === undefined ? '' : ` --config-file ${file}`}`
    },
  ],
  ['passenger', () => Promise.resolve(`passenger start --address ${host} --port ${port}`)],
  ['thin', () => Promise.resolve(`thin start --rackup config.ru --address ${host} --port ${port}`)],
  ['iodine', () => Promise.resolve(`iodine -b ${host} -p ${port}`)],
]

async function rackStart({ app, gems, hasGemfile }: Facts): Promise<Start> {
  for (const [gem, command] of servers) {
    if (!gems.has(gem)) continue
    return { command: `bundle exec ${await command(app)}`, why: `config.ru is there, and ${gem} is in the bundle` }
  }
  // rack.github.io, "Upgrade guide": from Rack 3 on, rackup is a gem of its own, and serves with WEBrick.
  if (gems.has('rackup') && gems.has('webrick')) {
    return {
      command: `bundle exec rackup --host ${host} --port ${port}`,
      why: 'config.ru is there, and rackup is in the bundle',
    }
  }
  throw new BuildpackError('there is no server for it among the gems', {
    where: 'config.ru',
    fix: hasGemfile ? 'add gem "puma" to the Gemfile: bundle add puma' : 'add a Gemfile with gem "rack" and gem "puma"',
  })
}

/** The processes beside the web server. */
export async function otherProcesses(facts: Facts): Promise<LaunchProcess[]> {
  const { app, gems, hasGemfile } = facts
  const processes: LaunchProcess[] = []
  const add = (type: string, command: string) => processes.push(shellProcess(type, `${command} "$@"`))
  if (await isRails(facts)) add('console', `${await rails(app)} console`)
  else if (hasGemfile) add('console', 'bundle exec ruby -r irb -e IRB.start')
  else add('console', 'irb')
  if (gems.has('rake') && (await hasRakefile(app))) add('rake', 'bundle exec rake')
  if (gems.has('sidekiq')) add('worker', 'bundle exec sidekiq')
  else if (gems.has('solid_queue') && (await app.has('bin/jobs'))) add('worker', 'bundle exec ruby bin/jobs')
  return processes
}

async function rails(app: App): Promise<string> {
  return (await app.has('bin/rails')) ? 'ruby bin/rails' : 'bundle exec rails'
}

async function hasRakefile(app: App): Promise<boolean> {
  return (await app.firstOf(['Rakefile', 'rakefile', 'Rakefile.rb', 'rakefile.rb'])) !== undefined
}

export function noStart(): BuildpackError {
  return new BuildpackError(
    `nothing says how to start the application: there is no config.ru, no Rails application, and none of\n${programs.join(', ')}`,
    {
      fix: [
        'Name the start in one of three ways:',
        '- a Procfile with a line "web: COMMAND", such as "web: bundle exec ruby lib/server.rb"',
        '- a config.ru, or one of the file names above',
        '- GOOGLE_ENTRYPOINT, a command',
      ].join('\n'),
    },
  )
}
