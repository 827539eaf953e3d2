-- A database of the application before its tables had versions: the data files, with two
-- bookings and a list more, a booking and a list less, and a list that was replaced.
CREATE TABLE bookings (
        id INTEGER PRIMARY KEY,
        username TEXT NOT NULL,
        date TEXT NOT NULL,
        movie TEXT NOT NULL,
        UNIQUE (username, date, movie),
        UNIQUE (date, movie, username)
    );
INSERT INTO bookings VALUES(2,'dwight_schrute','20151201','7daf7208-be4d-4944-a3ae-c1c2f516f3e6');
INSERT INTO bookings VALUES(3,'dwight_schrute','20151201','267eedb8-0f5d-42d5-8f43-72426b9fb3e6');
INSERT INTO bookings VALUES(4,'dwight_schrute','20151205','f22a90e1-fceb-4816-90d6-d7f92fb55566');
INSERT INTO bookings VALUES(5,'dwight_schrute','20151205','9e805af9-e604-422d-afc4-2576458fd651');
INSERT INTO bookings VALUES(6,'garret_heaton','20151201','267eedb8-0f5d-42d5-8f43-72426b9fb3e6');
INSERT INTO bookings VALUES(7,'garret_heaton','20151202','d984a7b4-b745-4060-a2bf-a062eda1037e');
INSERT INTO bookings VALUES(8,'oscar_martinez','20151130','a64fadaf-a3e5-4936-93b6-4b22ba0fbc6c');
INSERT INTO bookings VALUES(9,'oscar_martinez','20151130','bee00ecb-217a-45e3-8a5f-722afabaf005');
INSERT INTO bookings VALUES(10,'oscar_martinez','20151130','dd8ca711-e6d8-4616-a987-c3329a085d11');
INSERT INTO bookings VALUES(11,'oscar_martinez','20151130','4912900e-a36b-4771-8c12-13ce657c3b19');
INSERT INTO bookings VALUES(12,'oscar_martinez','20151130','1e7c164a-adee-4703-ab3f-29b71f249a0c');
INSERT INTO bookings VALUES(13,'oscar_martinez','20151201','267eedb8-0f5d-42d5-8f43-72426b9fb3e6');
INSERT INTO bookings VALUES(14,'oscar_martinez','20151201','7daf7208-be4d-4944-a3ae-c1c2f516f3e6');
INSERT INTO bookings VALUES(15,'oscar_martinez','20151201','cc2702f7-16e3-4bf2-bae0-b151a3d78dc9');
INSERT INTO bookings VALUES(16,'oscar_martinez','20151201','c43d1a26-6b99-4fd1-830a-8c89a751c0b5');
INSERT INTO bookings VALUES(17,'oscar_martinez','20151202','267eedb8-0f5d-42d5-8f43-72426b9fb3e6');
INSERT INTO bookings VALUES(18,'oscar_martinez','20151202','d984a7b4-b745-4060-a2bf-a062eda1037e');
INSERT INTO bookings VALUES(19,'oscar_martinez','20151202','833e82e0-a3d8-4603-9191-4f300807d9c8');
INSERT INTO bookings VALUES(20,'oscar_martinez','20151202','2635bd62-3d5a-484c-83cc-3447e2688166');
INSERT INTO bookings VALUES(21,'oscar_martinez','20151202','cc2702f7-16e3-4bf2-bae0-b151a3d78dc9');
INSERT INTO bookings VALUES(22,'oscar_martinez','20151203','591fa0b8-bf21-4d90-ae95-6dfb98bbfb49');
INSERT INTO bookings VALUES(23,'oscar_martinez','20151203','03bf3de2-4b5e-42d8-ab45-cf441d8f2676');
INSERT INTO bookings VALUES(24,'oscar_martinez','20151203','eb6429a6-8981-49da-8350-578aa24e82ac');
INSERT INTO bookings VALUES(25,'oscar_martinez','20151203','140629da-6dfc-4422-ba48-fc3da98fc2ef');
INSERT INTO bookings VALUES(26,'oscar_martinez','20151204','f22a90e1-fceb-4816-90d6-d7f92fb55566');
INSERT INTO bookings VALUES(27,'oscar_martinez','20151204','d984a7b4-b745-4060-a2bf-a062eda1037e');
INSERT INTO bookings VALUES(28,'oscar_martinez','20151204','591fa0b8-bf21-4d90-ae95-6dfb98bbfb49');
INSERT INTO bookings VALUES(29,'oscar_martinez','20151204','5b416330-5f59-4589-a7af-51c227c8d75a');
INSERT INTO bookings VALUES(30,'oscar_martinez','20151204','267eedb8-0f5d-42d5-8f43-72426b9fb3e6');
INSERT INTO bookings VALUES(31,'oscar_martinez','20151205','1eaf0308-6411-4693-a7d2-a18d753bf357');
INSERT INTO bookings VALUES(32,'oscar_martinez','20151205','9e805af9-e604-422d-afc4-2576458fd651');
INSERT INTO bookings VALUES(33,'oscar_martinez','20151205','f22a90e1-fceb-4816-90d6-d7f92fb55566');
INSERT INTO bookings VALUES(34,'oscar_martinez','20151205','267eedb8-0f5d-42d5-8f43-72426b9fb3e6');
INSERT INTO bookings VALUES(35,'oscar_martinez','20151205','a64fadaf-a3e5-4936-93b6-4b22ba0fbc6c');
INSERT INTO bookings VALUES(36,'oscar_martinez','20151205','1e7c164a-adee-4703-ab3f-29b71f249a0c');
INSERT INTO bookings VALUES(37,'pam_beesly','20151130','1e7c164a-adee-4703-ab3f-29b71f249a0c');
INSERT INTO bookings VALUES(38,'pam_beesly','20151130','dd8ca711-e6d8-4616-a987-c3329a085d11');
INSERT INTO bookings VALUES(39,'pam_beesly','20151202','833e82e0-a3d8-4603-9191-4f300807d9c8');
INSERT INTO bookings VALUES(40,'pam_beesly','20151202','d984a7b4-b745-4060-a2bf-a062eda1037e');
INSERT INTO bookings VALUES(41,'pam_beesly','20151202','2635bd62-3d5a-484c-83cc-3447e2688166');
INSERT INTO bookings VALUES(42,'pam_beesly','20151203','03bf3de2-4b5e-42d8-ab45-cf441d8f2676');
INSERT INTO bookings VALUES(43,'pam_beesly','20151203','591fa0b8-bf21-4d90-ae95-6dfb98bbfb49');
INSERT INTO bookings VALUES(44,'pam_beesly','20151204','591fa0b8-bf21-4d90-ae95-6dfb98bbfb49');
INSERT INTO bookings VALUES(45,'pam_beesly','20151205','1eaf0308-6411-4693-a7d2-a18d753bf357');
INSERT INTO bookings VALUES(46,'pam_beesly','20151205','a64fadaf-a3e5-4936-93b6-4b22ba0fbc6c');
INSERT INTO bookings VALUES(47,'michael_scott','20151201','267eedb8-0f5d-42d5-8f43-72426b9fb3e6');
INSERT INTO bookings VALUES(48,'peter_curley','20151201','267eedb8-0f5d-42d5-8f43-72426b9fb3e6');
CREATE TABLE todo_lists (
        username TEXT NOT NULL,
        name TEXT NOT NULL,
        items TEXT NOT NULL,
        tag TEXT NOT NULL,
        version INTEGER NOT NULL DEFAULT 1,
        PRIMARY KEY (username, name)
    );
INSERT INTO todo_lists VALUES('aniket','school','["Buy milk"]','"c4d68a42727e4c56"',2);
INSERT INTO todo_lists VALUES('meera','travel','["Renew passport","Book the night train"]','"a8fd8d927ec4c16f"',1);
INSERT INTO todo_lists VALUES('saurabh_badhwar','home','["Buy milk","Look for pest control service","Get a new carpet"]','"e7c03b82532414e5"',1);
INSERT INTO todo_lists VALUES('saurabh_badhwar','work','["Complete the blogpost","Create presentation for meeting"]','"7358cdd3ad667195"',1);
INSERT INTO todo_lists VALUES('luckas','a/b','["Buy milk","naïve \"quotes\""]','"057bb300acc57fcd"',1);
