import ctypes.util

import MySQLdb
import psycopg
import psycopg2

print(
    f"libpq {psycopg2.__libpq_version__ // 10000}, psycopg's own {psycopg.pq.version() // 10000} by {psycopg.pq.__impl__},"
    f" MySQL {MySQLdb.get_client_info().split('.')[0]}, found {ctypes.util.find_library('pq')}"
)
