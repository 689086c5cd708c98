import { type App, BuildpackError, type LaunchProcess, shellProcess, shellQuote } from '../sdk/index.ts'
import type { Facts, Start } from './facts.ts'
import { functionStart } from './functions.ts'

const host = '0.0.0.0'
const port = '${PORT:-8080}'
/** Start files without a config.ru, by precedence. */
export const programs: readonly string[] = ['app.rb', 'main.rb', 'server.rb', 'web.rb', 'src/main.rb', 'src/app.rb']

/** Names of files in which rake looks for tasks. */
export const rakefiles = ['Rakefile', 'rakefile', 'Rakefile.rb', 'rakefile.rb'] as const

/** Whether the application is a Rails application: it has the gem, and the files of every Rails application. */
export async function isRails({ app, gems }: Facts): Promise<boolean> {
  return gems.has('railties') && (await app.has('config/application.rb'))
}

/** Whether the application answers requests: Rails, or a config.ru beside a gem that serves it. */
export async function mayServe(facts: Facts): Promise<boolean> {
  if (await isRails(facts)) return true
  const served = [...servers.map(([gem]) => gem), 'webrick'].some(gem => facts.gems.has(gem))
  return served && (await facts.app.has('config.ru'))
}

/** The start of the application; undefined if nothing is recognised. */
export async function findStart(facts: Facts): Promise<Start | undefined> {
  const { app, gems, hasGemfile } = facts
  if (await isRails(facts)) {
    return { command: `${await rails(app)} server --binding ${host} --port ${port}`, why: 'it is a Rails application' }
  }
  const served = await functionStart(facts)
  if (served !== undefined) return served
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

/** Servers of Rack applications, the most usual first, with commands that make them listen. */
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
  // rack.github.io, "Upgrade guide": since Rack 3, rackup is a separate gem, and serves with WEBrick.
  if (gems.has('rackup') && gems.has('webrick')) {
    return {
      command: `bundle exec rackup --host ${host} --port ${port}`,
      why: 'config.ru is there, and rackup is in the bundle',
    }
  }
  throw new BuildpackError('the bundle has no server for it', {
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
  if ((await isRails(facts)) && gems.has('activerecord')) add('migrate', `${await rails(app)} db:migrate`)
  const worker = await workerOf(facts)
  if (worker !== undefined) add('worker', worker)
  return processes
}

/** Gems that process jobs in a separate process, and its command. */
const workers: readonly (readonly [gem: string, command: string])[] = [
  ['good_job', 'bundle exec good_job start'],
  ['karafka', 'bundle exec karafka server'],
  ['shoryuken', 'bundle exec shoryuken --rails'],
  ['delayed_job', 'bundle exec rake jobs:work'],
  ['resque', 'QUEUE="${QUEUE:-*}" bundle exec rake resque:work'],
]

async function workerOf(facts: Facts): Promise<string | undefined> {
  const { app, gems } = facts
  if (gems.has('sidekiq')) return 'bundle exec sidekiq'
  if (gems.has('solid_queue') && (await app.has('bin/jobs'))) return 'bundle exec ruby bin/jobs'
  const ofRails = await isRails(facts)
  return workers.find(([gem, command]) => gems.has(gem) && (ofRails || !/--rails|rake /.test(command)))?.[1]
}

async function rails(app: App): Promise<string> {
  return (await app.has('bin/rails')) ? 'ruby bin/rails' : 'bundle exec rails'
}

async function hasRakefile(app: App): Promise<boolean> {
  return (await app.firstOf(rakefiles)) !== undefined
}

export function noStart(): BuildpackError {
  return new BuildpackError(
    `no start command found: there is no config.ru, no Rails application, and none of\n${programs.join(', ')}`,
    {
      fix: [
        'Give the start command in one of three ways:',
        '- a Procfile with a line "web: COMMAND", such as "web: bundle exec ruby lib/server.rb"',
        '- a config.ru, or one of the file names above',
        '- GOOGLE_ENTRYPOINT, a command',
      ].join('\n'),
    },
  )
}
