-- Runs once, as the superuser, when the database volume is empty. The passwords come from the
-- container's environment and never stand on a command line.
\getenv owner_password NOC_OWNER_PASSWORD
\getenv app_password NOC_APP_PASSWORD

-- Migrations and management commands log in as the owner of the tables.
CREATE ROLE noc_owner LOGIN PASSWORD :'owner_password';
-- Web, worker and beat read and write rows; what needs more goes through SECURITY DEFINER functions.
CREATE ROLE noc_app LOGIN PASSWORD :'app_password';

-- No request or task waits longer than this. The owner has no limits: migrations may take long.
ALTER ROLE noc_app SET statement_timeout = '15s';
ALTER ROLE noc_app SET lock_timeout = '5s';
ALTER ROLE noc_app SET idle_in_transaction_session_timeout = '60s';
-- Of an error the server logs its message alone: statements and details hold keys and digests.
ALTER ROLE noc_app SET log_min_error_statement = 'panic';
ALTER ROLE noc_app SET log_error_verbosity = 'terse';

-- The owner of the database owns its schema public, and may therefore create in it.
ALTER DATABASE :"DBNAME" OWNER TO noc_owner;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO noc_app;
ALTER DEFAULT PRIVILEGES FOR ROLE noc_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO noc_app;
ALTER DEFAULT PRIVILEGES FOR ROLE noc_owner IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO noc_app;
ALTER DEFAULT PRIVILEGES FOR ROLE noc_owner IN SCHEMA public
  GRANT EXECUTE ON FUNCTIONS TO noc_app;
