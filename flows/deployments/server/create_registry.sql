-- PostgreSQL runs this once, when its data folder is empty. Prefect's database exists by then.
CREATE DATABASE registry;
