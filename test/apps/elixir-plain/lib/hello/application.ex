defmodule Hello.Application do
  use Application

  @impl true
  def start(_type, _args) do
    children = [{Task, &Hello.Server.listen/0}]
    Supervisor.start_link(children, strategy: :one_for_one, name: Hello.Supervisor)
  end
end
