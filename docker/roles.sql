-- Runs once, when the image makes its cluster: the role of an application. `setup` makes the rest.
create role auth0_writer nologin;
create role app login password 'app' in role auth0_writer;
