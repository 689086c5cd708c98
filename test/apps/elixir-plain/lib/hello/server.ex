defmodule Hello.Server do
  @moduledoc "An HTTP server of Erlang's sockets alone."

  def listen do
    options = [:binary, packet: :http_bin, active: false, reuseaddr: true]
    {:ok, socket} = :gen_tcp.listen(Application.fetch_env!(:hello, :port), options)
    accept(socket)
  end

  defp accept(socket) do
    {:ok, client} = :gen_tcp.accept(socket)
    {:ok, {:http_request, _, _, _}} = :gen_tcp.recv(client, 0)
    body = answer()
    :gen_tcp.send(client, "HTTP/1.1 200 OK\r\nContent-Length: #{byte_size(body)}\r\nConnection: close\r\n\r\n#{body}")
    :gen_tcp.close(client)
    accept(socket)
  end

  defp answer do
    hash = :crypto.hash(:sha256, "x") |> Base.encode16(case: :lower) |> binary_part(0, 8)
    otp = :erlang.system_info(:otp_release)
    compiler = Code.ensure_loaded?(Mix)
    "#{Application.fetch_env!(:hello, :greeting)} from Elixir #{System.version()} on OTP #{otp}, #{hash}, Mix: #{compiler}, é: #{String.length("é")}"
  end
end
