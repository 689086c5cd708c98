import { describe, expect, it } from 'vitest'
import { certainPrograms } from '../../../lifecycle/phases/start-check/shell-programs.ts'

describe('the programs that a command line is certain to start', () => {
  it.each<[string, string[]]>([
    ['ruby app.rb', ['ruby']],
    ['A=1 B="x y" exec ruby app.rb', ['ruby']],
    ["'my program' --x", ['my program']],
    ['env A=b nohup ./run --port $PORT', ['./run']],
    ['gunicorn -b :${PORT:-8080} "$(cat name):app"', ['gunicorn']],
    ['python manage.py migrate && gunicorn app', ['python', 'gunicorn']],
    ['mkdir -p /tmp/x; sleep 1\nexec ./run > log 2>&1', ['sleep', './run']],
    ['tail -f log | grep x', ['tail', 'grep']],
    ['worker & web', ['worker']],
    ['ruby a.rb # || python', ['ruby']],
    ['cd app && exec ruby app.rb', ['ruby']],
    ['"ru"by app.rb', ['ruby']],
    ['a\\ b', ['a b']],
    // An alternative, a condition, a program that the shell makes up, one that may bring the next.
    ['ruby a.rb || python b.py', []],
    ['if true; then ruby a.rb; fi', []],
    ['$PROGRAM a', []],
    ['"$HOME/bin/run"', []],
    ['~/run', []],
    ['(ruby a.rb)', []],
    ['! ruby a.rb', []],
    ['pip install x && x', ['pip']],
    ['python -m pip install x && x', ['python']],
    ['make && ./out', ['make']],
    ['. venv/bin/activate && gunicorn app', []],
    ['export PATH=/x:$PATH && run', []],
    ['PATH=/x run', []],
    ['exec -a name run', []],
    ['cat <<EOF\nruby\nEOF', []],
    ['set -e; node prepare.js; server', ['node', 'server']],
    ['echo "unclosed', []],
    ['echo $(unclosed', []],
    ['', []],
    ['# nothing', []],
  ])('%j', (script, expected) => {
    expect(certainPrograms(script).map(({ program }) => program)).toEqual(expected)
  })

  it('says that the directory is another one', () => {
    expect(certainPrograms('cat x; cd app; ./run')).toEqual([
      { program: 'cat', moved: false },
      { program: './run', moved: true },
    ])
  })
})
